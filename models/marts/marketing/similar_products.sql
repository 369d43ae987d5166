{{ config(materialized='table_function', parameters=['of_product', 'how_many']) }}

with product_affinity as (

    select * from {{ ref('product_affinity').include(database=false) }}

),

companions as (

    select
        other_product_id as product_id,
        other_product_name as product_name,
        pair_basket_count,
        confidence_share,
        lift,
        has_prescription_only
    from product_affinity
    where product_id = cast(of_product as varchar)

    union all

    select
        product_id,
        product_name,
        pair_basket_count,
        other_confidence_share as confidence_share,
        lift,
        has_prescription_only
    from product_affinity
    where other_product_id = cast(of_product as varchar)

),

companions_ranked as (

    select
        *,
        row_number() over (
            order by lift desc, pair_basket_count desc, product_id asc
        ) as place
    from companions
    where lift > 1

),

similar_products as (

    select
        product_id,
        product_name,
        place,
        pair_basket_count,
        confidence_share,
        lift,
        has_prescription_only
    from companions_ranked
    where place <= cast(how_many as integer)

)

select * from similar_products
