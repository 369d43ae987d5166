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

line_changes as (

    select * from {{ ref('fct_order_line_changes') }}
    {{ filter_affected_keys('order_id') }}

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
        max(order_lines.quantity) over (partition by order_lines.order_id) > 0 as is_in_sold_order,
        orders.time_zone,
        orders.ordered_at,
        {{ select_latest_load('orders', 'order_lines') }}
    from order_lines
    inner join orders on order_lines.order_id = orders.order_id
    left join order_statuses on orders.status = order_statuses.order_status

),

returns_told as (

    select
        *,
        {{ is_return_line('quantity', 'is_cancelled', 'is_in_sold_order') }} as is_return
    from lines_with_order

),

returns_dated as (

    select
        order_id,
        line_number,
        min(case when is_return then changed_at end) as returned_at
    from line_changes
    group by order_id, line_number

),

fct_order_lines as (

    select
        returns_told.order_id,
        returns_told.line_number,
        returns_told.customer_id,
        coalesce(dim_customer.customer_key, {{ unknown_key() }}) as customer_key,
        returns_told.product_id,
        coalesce(dim_product.product_key, {{ unknown_key() }}) as product_key,
        returns_told.channel,
        returns_told.order_status,
        returns_told.ship_country,
        returns_told.currency,
        returns_told.quantity,
        returns_told.unit_price,
        returns_told.discount_amount,
        cast(returns_told.gross_amount as decimal(18, 4)) as gross_amount,
        cast(
            returns_told.gross_amount - returns_told.discount_amount as decimal(18, 4)
        ) as net_amount,
        returns_told.is_cancelled,
        returns_told.is_return,
        not returns_told.is_cancelled and returns_told.quantity > 0 as is_sale,
        not returns_told.is_cancelled or returns_told.is_return as is_in_net_sales,
        {{ business_date('returns_told.ordered_at', zone='returns_told.time_zone') }}
            as ordered_date,
        {{ business_date(
            'case when returns_told.is_return'
            ~ ' then greatest(returns_dated.returned_at, returns_told.ordered_at)'
            ~ ' else returns_told.ordered_at end',
            zone='returns_told.time_zone',
        ) }} as booked_date,
        returns_told.ordered_at,
        case
            when returns_told.is_return
                then greatest(returns_dated.returned_at, returns_told.ordered_at)
            else returns_told.ordered_at
        end as booked_at,
        returns_told._loaded_at,
        returns_told._is_backfill
    from returns_told
    left join returns_dated
        on
            returns_told.order_id = returns_dated.order_id
            and returns_told.line_number = returns_dated.line_number
    left join dim_customer
        on {{ as_of(
            'dim_customer', 'returns_told.customer_id', at='returns_told.ordered_at'
        ) }}
    left join dim_product
        on {{ as_of(
            'dim_product', 'returns_told.product_id', at='returns_told.ordered_at'
        ) }}

)

select * from fct_order_lines
