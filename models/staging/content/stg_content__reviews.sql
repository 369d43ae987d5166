with reviews as (

    {{ current_rows('content.reviews', key='review_id') }}

),

stg_content__reviews as (

    select
        review_id,
        customer_id,
        product_id,
        rating,
        {{ mask_text_to_presence('body') }} as has_text,
        created_at as reviewed_at,
        updated_at,
        _loaded_at,
        _is_backfill
    from reviews

)

select * from stg_content__reviews
