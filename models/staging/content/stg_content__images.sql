with images as (

    {{ current_rows('content.images', key='image_id') }}

),

stg_content__images as (

    select
        image_id,
        product_id,
        path,
        format,
        sha256,
        size_bytes,
        width,
        height,
        _loaded_at,
        _is_backfill
    from images

)

select * from stg_content__images
