with labels as (

    select * from {{ ref('label_product_category') }}

),

image_features as (

    select * from {{ ref('image_features') }}

),

-- Pictures of a known category too: a picture that contradicts it may show another product.
score_product_category as (

    select
        labels.image_id,
        labels.content_group,
        {%- for feature in list_image_features() %}
            image_features.{{ feature }},
        {%- endfor %}
        labels.as_of
    from labels
    inner join image_features on labels.image_id = image_features.image_id

)

select * from score_product_category
