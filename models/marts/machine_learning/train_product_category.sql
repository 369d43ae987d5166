with labels_known as (

    select * from {{ ref('label_product_category') }}
    where category is not null

),

image_features as (

    select * from {{ ref('image_features') }}

),

train_product_category as (

    select
        labels_known.image_id,
        labels_known.content_group,
        labels_known.category,
        {%- for feature in list_image_features() %}
            image_features.{{ feature }},
        {%- endfor %}
        {{ assign_fold('labels_known.content_group', 5) }} as fold,
        labels_known.as_of,
        labels_known.label_known_at
    from labels_known
    inner join image_features on labels_known.image_id = image_features.image_id

)

select * from train_product_category
