{%- set properties = {
    'customer': ['country', 'city', 'has_marketing_consent', 'registered_at'],
    'product': ['product_name', 'category', 'brand', 'is_prescription_only'],
    'device': ['payment_count', 'customer_count'],
} -%}

with customers as (

    select * from {{ ref('dim_customer') }}

),

products as (

    select * from {{ ref('dim_product') }}

),

payments as (

    select * from {{ ref('fct_payments') }}

),

edge_states as (

    select * from {{ ref('graph_edge_states') }}

),

customer_nodes as (

    select
        'customer:' || customer_id as node_id,
        'customer' as node_label,
        customer_id as entity_id,
        {{ build_json(properties['customer']) }} as properties
    from customers
    where is_current and not is_deleted and customer_id is not null

),

product_nodes as (

    select
        'product:' || product_id as node_id,
        'product' as node_label,
        product_id as entity_id,
        {{ build_json(properties['product']) }} as properties
    from products
    where is_current and not is_deleted and product_id is not null

),

devices_seen as (

    select
        device_id,
        count(*) as payment_count,
        count(distinct customer_id) as customer_count
    from payments
    where not is_refund and device_id is not null
    group by device_id

),

device_nodes as (

    select
        'device:' || device_id as node_id,
        'device' as node_label,
        device_id as entity_id,
        {{ build_json(properties['device']) }} as properties
    from devices_seen

),

-- A deleted customer or product comes back by no edge.
known_nodes as (

    select 'customer:' || customer_id as node_id
    from customers

    union

    select 'product:' || product_id as node_id
    from products

    union

    select node_id
    from device_nodes

),

nodes_of_edges as (

    select
        from_node_id as node_id,
        from_node_label as node_label,
        from_entity_id as entity_id
    from edge_states
    where is_current and is_connected

    union

    select
        to_node_id as node_id,
        to_node_label as node_label,
        to_entity_id as entity_id
    from edge_states
    where is_current and is_connected

),

own_nodes as (

    select
        nodes_of_edges.node_id,
        nodes_of_edges.node_label,
        nodes_of_edges.entity_id,
        case nodes_of_edges.node_label
            {%- for label, names in properties.items() %}
                when '{{ label }}' then {{ build_json(dict.fromkeys(names, 'null')) }}
            {%- endfor %}
            else {{ build_json([]) }}
        end as properties
    from nodes_of_edges
    left join known_nodes on nodes_of_edges.node_id = known_nodes.node_id
    where known_nodes.node_id is null

),

graph_nodes as (

    select * from customer_nodes
    union all
    select * from product_nodes
    union all
    select * from device_nodes
    union all
    select * from own_nodes

)

select * from graph_nodes
