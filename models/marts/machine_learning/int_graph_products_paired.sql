with line_changes as (

    select * from {{ ref('fct_order_line_changes') }}

),

baskets as (

    select
        order_id,
        product_id,
        count(*) over (partition by order_id) as product_count,
        min(valid_from) as known_at
    from line_changes
    where is_sale
    group by order_id, product_id
    having max(case when is_current then 1 else 0 end) = 1

),

products_of_orders as (

    select
        baskets.product_id,
        other_baskets.product_id as other_product_id,
        greatest(baskets.known_at, other_baskets.known_at) as known_at,
        row_number() over (
            partition by baskets.product_id, other_baskets.product_id
            order by greatest(baskets.known_at, other_baskets.known_at)
        ) as order_rank
    from baskets
    inner join baskets as other_baskets
        on
            baskets.order_id = other_baskets.order_id
            and baskets.product_id < other_baskets.product_id
    where
        baskets.product_count <= {{ var('graph_largest_basket') }}
        and other_baskets.product_count <= {{ var('graph_largest_basket') }}

),

int_graph_products_paired as (

    select
        product_id,
        other_product_id,
        count(*) as order_count,
        min(case when order_rank >= {{ var('graph_fewest_orders') }} then known_at end)
            as known_at,
        max(known_at) as last_known_at
    from products_of_orders
    group by product_id, other_product_id
    having count(*) >= {{ var('graph_fewest_orders') }}

)

select * from int_graph_products_paired
