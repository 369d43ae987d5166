{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_affected_keys(
        key='review_id',
        inputs=['content.reviews'],
        dimensions=['dim_customer', 'dim_product'],
        at='reviewed_at',
    ) }}",
    post_hook="{{ record_incremental_state(['content.reviews']) }}",
) }}

with reviews as (

    {{ current_rows('content.reviews', key='review_id', affected_by='review_id') }}

),

dim_customer as (

    select * from {{ ref('dim_customer') }}

),

dim_product as (

    select * from {{ ref('dim_product') }}

),

fct_reviews as (

    select
        reviews.review_id,
        reviews.customer_id,
        coalesce(dim_customer.customer_key, {{ unknown_key() }}) as customer_key,
        reviews.product_id,
        coalesce(dim_product.product_key, {{ unknown_key() }}) as product_key,
        reviews.rating,
        {{ mask_text_to_presence('reviews.body') }} as has_text,
        {{ business_date('reviews.created_at') }} as reviewed_date,
        reviews.created_at as reviewed_at,
        reviews._loaded_at,
        reviews._is_backfill
    from reviews
    left join dim_customer
        on {{ as_of('dim_customer', 'reviews.customer_id', at='reviews.created_at') }}
    left join dim_product
        on {{ as_of('dim_product', 'reviews.product_id', at='reviews.created_at') }}

)

select * from fct_reviews
