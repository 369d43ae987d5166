with order_lines as (

    select * from {{ ref('fct_order_lines') }}

),

dim_product as (

    select * from {{ ref('dim_product') }}

),

products_in_baskets as (

    select distinct
        order_id,
        product_id
    from order_lines
    where is_sale

),

baskets_measured as (

    select
        order_id,
        count(*) as product_count
    from products_in_baskets
    group by order_id

),

-- A basket of n products has n * (n - 1) / 2 pairs: a wholesaler's would outweigh thousands.
baskets_counted as (

    select
        count(case when product_count <= {{ var('affinity_largest_basket') }} then 1 end)
            as basket_count,
        count(case when product_count > {{ var('affinity_largest_basket') }} then 1 end)
            as oversized_basket_count
    from baskets_measured

),

products_counted as (

    select
        products_in_baskets.product_id,
        count(*) as basket_count
    from products_in_baskets
    inner join baskets_measured on products_in_baskets.order_id = baskets_measured.order_id
    where baskets_measured.product_count <= {{ var('affinity_largest_basket') }}
    group by products_in_baskets.product_id
    having count(*) >= {{ var('affinity_minimum_baskets') }}

),

-- A pair cannot be in more baskets than the rarer of its two products.
products_that_may_pair as (

    select
        products_in_baskets.order_id,
        products_in_baskets.product_id
    from products_in_baskets
    inner join baskets_measured on products_in_baskets.order_id = baskets_measured.order_id
    inner join products_counted on products_in_baskets.product_id = products_counted.product_id
    where baskets_measured.product_count between 2 and {{ var('affinity_largest_basket') }}

),

pairs_counted as (

    select
        products_that_may_pair.product_id,
        peers.product_id as other_product_id,
        count(*) as pair_basket_count
    from products_that_may_pair
    inner join products_that_may_pair as peers
        on
            products_that_may_pair.order_id = peers.order_id
            and products_that_may_pair.product_id < peers.product_id
    group by products_that_may_pair.product_id, peers.product_id
    having count(*) >= {{ var('affinity_minimum_baskets') }}

),

product_affinity as (

    select
        pairs_counted.product_id,
        pairs_counted.other_product_id,
        dim_product.product_name,
        other_dim_product.product_name as other_product_name,
        pairs_counted.pair_basket_count,
        products_counted.basket_count as product_basket_count,
        other_products_counted.basket_count as other_product_basket_count,
        baskets_counted.basket_count,
        baskets_counted.oversized_basket_count,
        pairs_counted.pair_basket_count / cast(baskets_counted.basket_count as double)
            as support_share,
        pairs_counted.pair_basket_count / cast(products_counted.basket_count as double)
            as confidence_share,
        pairs_counted.pair_basket_count / cast(other_products_counted.basket_count as double)
            as other_confidence_share,
        cast(pairs_counted.pair_basket_count as double) * baskets_counted.basket_count
        / (cast(products_counted.basket_count as double) * other_products_counted.basket_count)
            as lift,
        -- Null if the flag of one is unknown and that of the other is not true.
        dim_product.is_prescription_only or other_dim_product.is_prescription_only
            as has_prescription_only
    from pairs_counted
    cross join baskets_counted
    inner join products_counted on pairs_counted.product_id = products_counted.product_id
    inner join products_counted as other_products_counted
        on pairs_counted.other_product_id = other_products_counted.product_id
    left join dim_product
        on pairs_counted.product_id = dim_product.product_id and dim_product.is_last_known
    left join dim_product as other_dim_product
        on
            pairs_counted.other_product_id = other_dim_product.product_id
            and other_dim_product.is_last_known

)

select * from product_affinity
