with customers as (

    select * from {{ ref('dim_customer') }}

),

products as (

    select * from {{ ref('dim_product') }}

),

payments as (

    select * from {{ ref('fct_payments') }}

),

customer_nodes as (

    select
        'customer:' || customer_id as node_id,
        'customer' as node_label,
        customer_id as entity_id,
        {{ build_json(['country', 'city', 'has_marketing_consent', 'registered_at']) }}
            as properties
    from customers
    where is_current and not is_deleted and customer_id is not null

),

product_nodes as (

    select
        'product:' || product_id as node_id,
        'product' as node_label,
        product_id as entity_id,
        {{ build_json(['product_name', 'category', 'brand', 'is_prescription_only']) }}
            as properties
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
        {{ build_json(['payment_count', 'customer_count']) }} as properties
    from devices_seen

),

graph_nodes as (

    select * from customer_nodes
    union all
    select * from product_nodes
    union all
    select * from device_nodes

)

select * from graph_nodes
