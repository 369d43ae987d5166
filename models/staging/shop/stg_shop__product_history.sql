with ordered_changes as (

    {{ date_changes('shop.products', key='product_id', happened_at='updated_at') }}

),

stg_shop__product_history as (

    select
        product_id,
        product_name,
        category,
        brand,
        currency as list_price_currency,
        unit_price as list_price,
        {{ read_attributes('shop.products') }} as attributes,
        _change_number as change_number,
        is_prescription_only,
        _is_tombstone as is_deleted,
        _number_from_last = 1 as is_latest,
        _changed_at as changed_at,
        _known_at as known_at,
        _loaded_at,
        _is_backfill
    from ordered_changes

)

select * from stg_shop__product_history
