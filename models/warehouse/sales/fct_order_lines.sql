{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_affected_keys(
        key='order_id',
        inputs=['sales.orders', 'sales.order_lines'],
        dimensions=['dim_customer', 'dim_product'],
        at='ordered_at',
    ) }}",
    post_hook="{{ record_incremental_state(['sales.orders', 'sales.order_lines']) }}",
) }}

with orders as (

    {{ current_rows('sales.orders', key='order_id', affected_by='order_id') }}

),

order_lines as (

    {{ current_rows('sales.order_lines', key=['order_id', 'line_number'], affected_by='order_id') }}

),

order_statuses as (

    select * from {{ ref('order_statuses') }}

),

dim_customer as (

    select * from {{ ref('dim_customer') }}

),

dim_product as (

    select * from {{ ref('dim_product') }}

),

lines_with_order as (

    select
        order_lines.order_id,
        order_lines.line_number,
        orders.customer_id,
        order_lines.product_id,
        coalesce(orders.channel, {{ unknown_code() }}) as channel,
        orders.status as order_status,
        coalesce(orders.ship_country, {{ unknown_code() }}) as ship_country,
        coalesce(orders.currency, {{ no_currency() }}) as currency,
        order_lines.quantity,
        order_lines.unit_price,
        coalesce(order_lines.discount_amount, 0) as discount_amount,
        order_lines.quantity * order_lines.unit_price as gross_amount,
        coalesce(order_statuses.is_cancelled, false) as is_cancelled,
        order_lines.quantity < 0 as is_return,
        orders.ordered_at,
        {{ select_latest_load('orders', 'order_lines') }}
    from order_lines
    inner join orders on order_lines.order_id = orders.order_id
    left join order_statuses on orders.status = order_statuses.order_status

),

fct_order_lines as (

    select
        lines_with_order.order_id,
        lines_with_order.line_number,
        lines_with_order.customer_id,
        coalesce(dim_customer.customer_key, {{ unknown_key() }}) as customer_key,
        lines_with_order.product_id,
        coalesce(dim_product.product_key, {{ unknown_key() }}) as product_key,
        lines_with_order.channel,
        lines_with_order.order_status,
        lines_with_order.ship_country,
        lines_with_order.currency,
        lines_with_order.quantity,
        lines_with_order.unit_price,
        lines_with_order.discount_amount,
        cast(lines_with_order.gross_amount as decimal(18, 4)) as gross_amount,
        cast(
            lines_with_order.gross_amount - lines_with_order.discount_amount as decimal(18, 4)
        ) as net_amount,
        lines_with_order.is_cancelled,
        lines_with_order.is_return,
        not lines_with_order.is_cancelled and lines_with_order.quantity > 0 as is_sale,
        not lines_with_order.is_cancelled or lines_with_order.is_return as is_in_net_sales,
        cast(lines_with_order.ordered_at as date) as ordered_date,
        lines_with_order.ordered_at,
        lines_with_order._loaded_at,
        lines_with_order._is_backfill
    from lines_with_order
    left join dim_customer
        on {{ as_of(
            'dim_customer', 'lines_with_order.customer_id', at='lines_with_order.ordered_at'
        ) }}
    left join dim_product
        on {{ as_of(
            'dim_product', 'lines_with_order.product_id', at='lines_with_order.ordered_at'
        ) }}

)

select * from fct_order_lines
