with labels as (

    select * from {{ ref('label_product_category') }}

),

image_pixels as (

    select * from {{ ref('stg_content__image_pixels') }}

),

score_product_pixels as (

    select
        labels.image_id,
        labels.content_group,
        image_pixels.pixels,
        labels.as_of
    from labels
    inner join image_pixels on labels.content_group = image_pixels.sha256

)

select * from score_product_pixels
