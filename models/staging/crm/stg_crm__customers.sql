with customer_history as (

    select * from {{ ref('stg_crm__customer_history') }}

),

stg_crm__customers as (

    select
        customer_id,
        referred_by_customer_id,
        gender,
        postcode_area,
        city,
        country,
        birth_year,
        has_email,
        has_phone,
        has_marketing_consent,
        registered_at,
        _loaded_at,
        _is_backfill
    from customer_history
    where is_latest and not is_deleted

)

select * from stg_crm__customers
