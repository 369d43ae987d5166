{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_affected_keys(
        key='order_id',
        inputs=['sales.orders', 'sales.order_lines'],
        dimensions=['dim_customer'],
        at='ordered_at',
    ) }}",
    post_hook="{{ record_incremental_state(['sales.orders', 'sales.order_lines']) }}",
) }}

with orders as (

    {{ current_rows('sales.orders', key='order_id', affected_by='order_id') }}

),

order_lines as (

    select * from {{ ref('fct_order_lines') }}
    {{ filter_affected_keys('order_id') }}

),

order_statuses as (

    select * from {{ ref('order_statuses') }}

),

dim_customer as (

    select * from {{ ref('dim_customer') }}

),

lines_with_latest_load as (

    select
        *,
        max(_loaded_at) over (partition by order_id) as order_loaded_at
    from order_lines

),

lines_summed as (

    select
        order_id,
        count(*) as line_count,
        count(case when is_sale then 1 end) as sold_line_count,
        sum(gross_amount) as gross_amount,
        sum(discount_amount) as discount_amount,
        sum(net_amount) as net_amount,
        sum(case when is_in_net_sales then net_amount end) as net_sales_amount,
        order_loaded_at as _loaded_at,
        count(case when _is_backfill and _loaded_at = order_loaded_at then 1 end) > 0
            as _is_backfill
    from lines_with_latest_load
    group by order_id, order_loaded_at

),

fct_orders as (

    select
        orders.order_id,
        orders.customer_id,
        coalesce(dim_customer.customer_key, {{ unknown_key() }}) as customer_key,
        coalesce(orders.channel, {{ unknown_code() }}) as channel,
        orders.status as order_status,
        coalesce(orders.ship_country, {{ unknown_code() }}) as ship_country,
        coalesce(orders.currency, {{ no_currency() }}) as currency,
        coalesce(lines_summed.line_count, 0) as line_count,
        cast(lines_summed.gross_amount as decimal(18, 4)) as gross_amount,
        cast(lines_summed.discount_amount as decimal(18, 4)) as discount_amount,
        cast(lines_summed.net_amount as decimal(18, 4)) as net_amount,
        cast(lines_summed.net_sales_amount as decimal(18, 4)) as net_sales_amount,
        coalesce(order_statuses.is_cancelled, false) as is_cancelled,
        not coalesce(order_statuses.is_cancelled, false)
        and coalesce(lines_summed.sold_line_count > 0, true) as is_sale,
        {{ business_date('orders.ordered_at', zone='orders.time_zone') }} as ordered_date,
        orders.ordered_at,
        coalesce(lines_summed._loaded_at, orders._loaded_at) as _loaded_at,
        coalesce(lines_summed._is_backfill, orders._is_backfill) as _is_backfill
    from orders
    left join lines_summed on orders.order_id = lines_summed.order_id
    left join order_statuses on orders.status = order_statuses.order_status
    left join dim_customer
        on {{ as_of('dim_customer', 'orders.customer_id', at='orders.ordered_at') }}

)

select * from fct_orders
