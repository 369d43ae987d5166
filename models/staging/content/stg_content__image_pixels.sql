with image_pixels as (

    {{ current_rows('content.image_pixels', key='sha256') }}

),

stg_content__image_pixels as (

    select
        sha256,
        pixels
    from image_pixels

)

select * from stg_content__image_pixels
