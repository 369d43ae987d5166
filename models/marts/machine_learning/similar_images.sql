with image_features as (

    select * from {{ ref('image_features') }}

),

contents as (

    select
        sha256,
        average_hash,
        min(image_id) as first_image_id
    from image_features
    where is_readable
    group by sha256, average_hash

),

-- Plain pictures share one hash, so that hash does not show similarity.
telling_hashes as (

    select average_hash
    from contents
    group by average_hash
    having count(*) <= {{ var('most_contents_of_a_hash') }}

),

-- Hashes that differ in at most three bits agree in at least one of four parts, so only these are
-- compared. A part is every fourth bit, so a white margin does not make a part equal for all.
parts as (

    select
        1 as part,
        cast(1229782938247303441 as bigint) as mask

    union all

    select
        2 as part,
        cast(2459565876494606882 as bigint) as mask

    union all

    select
        3 as part,
        cast(4919131752989213764 as bigint) as mask

    union all

    select
        4 as part,
        cast(-8608480567731124088 as bigint) as mask

),

hash_parts as (

    select
        telling_hashes.average_hash,
        parts.part,
        telling_hashes.average_hash & parts.mask as bits
    from telling_hashes
    cross join parts

),

hashes_paired as (

    select distinct
        one.average_hash as one_hash,
        other.average_hash as other_hash,
        {{ count_different_bits('one.average_hash', 'other.average_hash') }} as different_bit_count
    from hash_parts as one
    inner join hash_parts as other on one.part = other.part and one.bits = other.bits
    where {{ count_different_bits('one.average_hash', 'other.average_hash') }} <= 3

),

alike_contents as (

    select
        one.first_image_id as image_id,
        other.first_image_id as similar_image_id,
        hashes_paired.different_bit_count,
        false as is_same_content
    from hashes_paired
    inner join contents as one on hashes_paired.one_hash = one.average_hash
    inner join contents as other on hashes_paired.other_hash = other.average_hash
    where one.first_image_id < other.first_image_id

),

copies as (

    select
        contents.first_image_id as image_id,
        image_features.image_id as similar_image_id,
        0 as different_bit_count,
        true as is_same_content
    from image_features
    inner join contents on image_features.sha256 = contents.sha256
    where image_features.image_id <> contents.first_image_id

),

all_pairs as (

    select * from alike_contents
    union all
    select * from copies

),

similar_images as (

    select
        all_pairs.image_id,
        all_pairs.similar_image_id,
        one.product_id,
        other.product_id as similar_product_id,
        all_pairs.different_bit_count,
        all_pairs.is_same_content
    from all_pairs
    inner join image_features as one on all_pairs.image_id = one.image_id
    inner join image_features as other on all_pairs.similar_image_id = other.image_id

)

select * from similar_images
