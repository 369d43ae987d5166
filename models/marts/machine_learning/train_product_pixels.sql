with labels_known as (

    select * from {{ ref('label_product_category') }}
    where category is not null

),

image_pixels as (

    select * from {{ ref('stg_content__image_pixels') }}

),

train_product_pixels as (

    select
        labels_known.image_id,
        labels_known.content_group,
        labels_known.category,
        image_pixels.pixels,
        {{ assign_fold('labels_known.content_group', 5) }} as fold,
        labels_known.as_of,
        labels_known.label_known_at
    from labels_known
    inner join image_pixels on labels_known.content_group = image_pixels.sha256

)

select * from train_product_pixels
