with ordered_changes as (

    {{ date_changes(
        'crm.customers',
        key='customer_id',
        happened_at='coalesce(updated_at, registered_at)',
        began_at='registered_at',
    ) }}

),

stg_crm__customer_history as (

    select
        customer_id,
        referred_by_customer_id,
        gender,
        {{ mask_postcode_to_area('postcode') }} as postcode_area,
        city,
        country,
        {{ mask_date_to_year('birth_date') }} as birth_year,
        {{ read_attributes('crm.customers') }} as attributes,
        _change_number as change_number,
        {{ mask_text_to_presence('email') }} as has_email,
        {{ mask_text_to_presence('phone') }} as has_phone,
        marketing_consent as has_marketing_consent,
        _is_tombstone as is_deleted,
        _number_from_last = 1 as is_latest,
        registered_at,
        _changed_at as changed_at,
        _known_at as known_at,
        _began_known_at as registered_known_at,
        _loaded_at,
        _is_backfill
    from ordered_changes

)

select * from stg_crm__customer_history
