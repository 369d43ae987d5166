with images as (

    select * from {{ ref('stg_content__images') }}

),

features as (

    select * from {{ ref('stg_content__image_features') }}

),

contents_counted as (

    select
        sha256,
        count(*) as same_content_count
    from images
    group by sha256

),

image_features as (

    select
        images.image_id,
        images.product_id,
        images.format,
        images.sha256,
        features.dominant_colour,
        images.size_bytes,
        features.width,
        features.height,
        features.average_hash,
        contents_counted.same_content_count,
        features.aspect_ratio,
        features.mean_red,
        features.mean_green,
        features.mean_blue,
        features.brightness,
        features.contrast,
        features.edge_energy,
        features.sharpness,
        features.dominant_colour_share,
        features.sha256 is not null as is_readable
    from images
    inner join contents_counted on images.sha256 = contents_counted.sha256
    left join features on images.sha256 = features.sha256

)

select * from image_features
