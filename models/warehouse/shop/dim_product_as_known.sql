with product_history as (

    select * from {{ ref('stg_shop__product_history') }}

),

dim_product_as_known as (

    {{ build_known_versions('product_history', key='product_id', attributes=[
        'product_name', 'category', 'brand', 'list_price_currency', 'list_price',
        'attributes', 'is_prescription_only',
    ]) }}

)

select * from dim_product_as_known
