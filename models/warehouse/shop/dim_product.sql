with product_history as (

    select * from {{ ref('stg_shop__product_history') }}

),

product_versions as (

    {{ build_scd2('product_history', key='product_id', attributes=[
        'product_name', 'category', 'brand', 'list_price_currency', 'list_price',
        'is_prescription_only',
    ]) }}

),

known_products as (

    select
        {{ generate_version_key('product_id', 'changed_at') }} as product_key,
        product_id,
        product_name,
        category,
        brand,
        list_price_currency,
        list_price,
        is_prescription_only,
        is_deleted,
        is_current,
        not is_deleted
        and row_number() over (
            partition by product_id, is_deleted
            order by valid_from desc
        ) = 1 as is_last_known,
        valid_from,
        valid_to
    from product_versions

),

unknown_product as (

    select
        {{ unknown_key() }} as product_key,
        null as product_id,
        null as product_name,
        null as category,
        null as brand,
        null as list_price_currency,
        null as list_price,
        null as is_prescription_only,
        false as is_deleted,
        true as is_current,
        true as is_last_known,
        {{ beginning_of_time() }} as valid_from,
        {{ end_of_time() }} as valid_to

),

dim_product as (

    select * from known_products
    union all
    select * from unknown_product

)

select * from dim_product
