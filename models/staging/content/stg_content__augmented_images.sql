with augmented_images as (

    {{ current_rows('content.augmented_images', key='image_id') }}

),

stg_content__augmented_images as (

    select
        image_id,
        parent_image_id,
        parent_sha256,
        operation,
        parameters,
        sha256,
        size_bytes,
        width,
        height,
        _loaded_at
    from augmented_images

)

select * from stg_content__augmented_images
