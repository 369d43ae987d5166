{%- set attributes = [
    'product_name', 'category', 'brand', 'list_price_currency', 'list_price',
    'attributes', 'is_prescription_only',
] -%}

with product_history as (

    select * from {{ ref('stg_shop__product_history') }}

),

product_versions as (

    {{ build_scd2('product_history', key='product_id', attributes=attributes) }}

),

known_products as (

    select
        *,
        {{ generate_version_key('product_id', 'changed_at') }} as product_key,
        not is_deleted
        and row_number() over (
            partition by product_id, is_deleted
            order by valid_from desc
        ) = 1 as is_last_known
    from product_versions

),

dim_product as (

    {{ append_unknown_member(
        'known_products',
        columns=['product_key', 'product_id'] + attributes
        + [
            'is_deleted', 'is_current', 'is_last_known', 'changed_at', 'valid_from', 'valid_to'
        ],
        values={'is_last_known': 'true'},
    ) }}

)

select * from dim_product
