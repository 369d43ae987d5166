with image_features as (

    select * from {{ ref('image_features') }}

),

augmented_images as (

    select * from {{ ref('stg_content__augmented_images') }}

),

contents as (

    select
        sha256,
        min(image_id) as image_id,
        min(product_id) as product_id,
        min(width) as width,
        min(height) as height
    from image_features
    where is_readable
    group by sha256
    having count(distinct product_id) <= 1

),

training_images as (

    select
        image_id,
        product_id,
        sha256 as content_group,
        sha256,
        cast(null as varchar) as operation,
        cast(null as varchar) as parameters,
        width,
        height,
        false as is_augmented
    from contents

    union all

    select
        augmented_images.image_id,
        contents.product_id,
        contents.sha256 as content_group,
        augmented_images.sha256,
        augmented_images.operation,
        augmented_images.parameters,
        augmented_images.width,
        augmented_images.height,
        true as is_augmented
    from augmented_images
    inner join contents on augmented_images.parent_sha256 = contents.sha256

)

select * from training_images
