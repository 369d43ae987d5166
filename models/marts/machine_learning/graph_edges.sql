with nodes as (

    select * from {{ ref('graph_nodes') }}

),

customers as (

    select * from {{ ref('dim_customer') }}

),

known_customers as (

    select * from {{ ref('dim_customer_as_known') }}

),

products_paired as (

    select * from {{ ref('int_graph_products_paired') }}

),

payments as (

    select * from {{ ref('fct_payments') }}

),

own_edges as (

    select * from {{ ref('int_graph_edges_merged') }}

),

referrals_dated as (

    select
        customers.customer_id,
        customers.referred_by_customer_id,
        coalesce(
            max(case
                when
                    customers.referred_by_customer_id
                    is distinct from known_customers.referred_by_customer_id
                    then known_customers.valid_to
            end),
            min(known_customers.valid_from)
        ) as known_at
    from customers
    inner join known_customers on customers.customer_id = known_customers.customer_id
    where
        customers.is_current
        and not customers.is_deleted
        and customers.customer_id <> customers.referred_by_customer_id
    group by customers.customer_id, customers.referred_by_customer_id

),

referrals as (

    select
        'referral' as graph,
        'customer:' || customer_id as from_node_id,
        'customer:' || referred_by_customer_id as to_node_id,
        true as is_directed,
        1 as weight,
        known_at,
        known_at as weight_known_at
    from referrals_dated

),

products_bought_together as (

    select
        'bought_together' as graph,
        'product:' || product_id as from_node_id,
        'product:' || other_product_id as to_node_id,
        false as is_directed,
        order_count as weight,
        known_at,
        last_known_at as weight_known_at
    from products_paired

),

devices_used as (

    select
        customer_id,
        device_id,
        count(*) as payment_count,
        count(*) over (partition by device_id) as customer_count,
        min({{ compute_known_at('transacted_at') }}) as known_at,
        max({{ compute_known_at('transacted_at') }}) as last_known_at
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
        payment_count as weight,
        known_at,
        last_known_at as weight_known_at
    from devices_used

),

customers_with_one_device as (

    select
        'shared_device' as graph,
        'customer:' || devices_used.customer_id as from_node_id,
        'customer:' || other_customers.customer_id as to_node_id,
        false as is_directed,
        count(*) as weight,
        min(greatest(devices_used.known_at, other_customers.known_at)) as known_at,
        max(greatest(devices_used.known_at, other_customers.known_at)) as weight_known_at
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
    union all
    select
        graph,
        from_node_id,
        to_node_id,
        is_directed,
        weight,
        known_at,
        weight_known_at
    from own_edges

),

graph_edges as (

    select
        all_edges.graph,
        all_edges.from_node_id,
        all_edges.to_node_id,
        cast(all_edges.weight as double) as weight,
        all_edges.is_directed,
        all_edges.known_at,
        all_edges.weight_known_at
    from all_edges
    inner join nodes as from_nodes on all_edges.from_node_id = from_nodes.node_id
    inner join nodes as to_nodes on all_edges.to_node_id = to_nodes.node_id

)

select * from graph_edges
