with product_history as (

    select * from {{ ref('stg_shop__product_history') }}

),

stg_shop__products as (

    select
        product_id,
        product_name,
        category,
        brand,
        list_price_currency,
        list_price,
        is_prescription_only,
        _loaded_at,
        _is_backfill
    from product_history
    where is_latest and not is_deleted

)

select * from stg_shop__products
