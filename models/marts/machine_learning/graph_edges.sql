with nodes as (

    select * from {{ ref('graph_nodes') }}

),

customers as (

    select * from {{ ref('dim_customer') }}

),

order_lines as (

    select * from {{ ref('fct_order_lines') }}

),

payments as (

    select * from {{ ref('fct_payments') }}

),

referrals as (

    select
        'referral' as graph,
        'customer:' || customer_id as from_node_id,
        'customer:' || referred_by_customer_id as to_node_id,
        true as is_directed,
        cast(1 as bigint) as weight
    from customers
    where is_current and not is_deleted and customer_id <> referred_by_customer_id

),

baskets as (

    select
        order_id,
        product_id,
        count(*) over (partition by order_id) as product_count
    from order_lines
    where is_sale
    group by order_id, product_id

),

products_bought_together as (

    select
        'bought_together' as graph,
        'product:' || baskets.product_id as from_node_id,
        'product:' || other_baskets.product_id as to_node_id,
        false as is_directed,
        count(*) as weight
    from baskets
    inner join baskets as other_baskets
        on
            baskets.order_id = other_baskets.order_id
            and baskets.product_id < other_baskets.product_id
    where
        baskets.product_count <= {{ var('graph_largest_basket') }}
        and other_baskets.product_count <= {{ var('graph_largest_basket') }}
    group by baskets.product_id, other_baskets.product_id
    having count(*) >= {{ var('graph_fewest_orders') }}

),

devices_used as (

    select
        customer_id,
        device_id,
        count(*) as payment_count,
        count(*) over (partition by device_id) as customer_count
    from payments
    where not is_refund and customer_id is not null and device_id is not null
    group by customer_id, device_id

),

customers_with_device as (

    select
        'used_device' as graph,
        'customer:' || customer_id as from_node_id,
        'device:' || device_id as to_node_id,
        false as is_directed,
        payment_count as weight
    from devices_used

),

customers_with_one_device as (

    select
        'shared_device' as graph,
        'customer:' || devices_used.customer_id as from_node_id,
        'customer:' || other_customers.customer_id as to_node_id,
        false as is_directed,
        count(*) as weight
    from devices_used
    inner join devices_used as other_customers
        on
            devices_used.device_id = other_customers.device_id
            and devices_used.customer_id < other_customers.customer_id
    where
        devices_used.customer_count <= {{ var('graph_most_customers_of_a_device') }}
        and other_customers.customer_count <= {{ var('graph_most_customers_of_a_device') }}
    group by devices_used.customer_id, other_customers.customer_id

),

all_edges as (

    select * from referrals
    union all
    select * from products_bought_together
    union all
    select * from customers_with_device
    union all
    select * from customers_with_one_device

),

graph_edges as (

    select
        all_edges.graph,
        all_edges.from_node_id,
        all_edges.to_node_id,
        all_edges.weight,
        all_edges.is_directed
    from all_edges
    inner join nodes as from_nodes on all_edges.from_node_id = from_nodes.node_id
    inner join nodes as to_nodes on all_edges.to_node_id = to_nodes.node_id

)

select * from graph_edges
