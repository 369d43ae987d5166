with image_features as (

    {{ current_rows('content.image_features', key='sha256') }}

),

stg_content__image_features as (

    select
        sha256,
        dominant_colour,
        width,
        height,
        average_hash,
        aspect_ratio,
        mean_red,
        mean_green,
        mean_blue,
        brightness,
        contrast,
        edge_energy,
        sharpness,
        dominant_colour_share
    from image_features

)

select * from stg_content__image_features
