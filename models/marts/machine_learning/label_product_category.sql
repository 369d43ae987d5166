with images as (

    select * from {{ ref('stg_content__images') }}

),

training_images as (

    select * from {{ ref('training_images') }}

),

dim_product as (

    select * from {{ ref('dim_product') }}

),

label_product_category as (

    select
        training_images.image_id,
        training_images.content_group,
        training_images.product_id,
        case when dim_product.category is null then 'not followed' else 'known' end
            as label_state,
        dim_product.category,
        images._loaded_at as as_of,
        case when dim_product.category is not null then images._loaded_at end as label_known_at
    from training_images
    inner join images on training_images.image_id = images.image_id
    left join dim_product
        on training_images.product_id = dim_product.product_id and dim_product.is_last_known
    where not training_images.is_augmented

)

select * from label_product_category
