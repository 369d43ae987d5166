{{ config(materialized='table_function', parameters=['as_of', 'horizon_days']) }}

with order_lines as (

    select * from {{ ref('fct_order_lines').include(database=false) }}

),

horizon as (

    select
        cast(as_of as timestamp) as begins_at,
        cast(as_of as timestamp) + cast(horizon_days as integer) * interval '1' day as ends_at

),

-- The latest day in the data may still receive orders.
horizon_compared as (

    select
        horizon.begins_at,
        horizon.ends_at,
        coalesce(max(order_lines.ordered_date) >= horizon.ends_at, false) as is_over
    from horizon
    left join order_lines on true
    group by horizon.begins_at, horizon.ends_at

),

lines_placed as (

    select
        order_lines.customer_id,
        order_lines.currency,
        order_lines.order_id,
        order_lines.net_amount,
        order_lines.is_sale,
        order_lines.ordered_date,
        order_lines.ordered_at < horizon_compared.begins_at as is_history,
        horizon_compared.is_over as is_horizon_over
    from order_lines
    inner join horizon_compared on order_lines.ordered_at < horizon_compared.ends_at
    where order_lines.customer_id is not null and order_lines.is_in_net_sales

),

customer_lifetime_value as (

    select
        customer_id,
        currency,
        cast(sum(case when is_history then net_amount else 0 end) as decimal(18, 4))
            as history_net_sales_amount,
        cast(sum(case when is_history then 0 else net_amount end) as decimal(18, 4))
            as horizon_net_sales_amount,
        count(distinct case when is_history and is_sale then order_id end) as history_order_count,
        count(distinct case when not is_history and is_sale then order_id end)
            as horizon_order_count,
        is_horizon_over,
        min(case when is_sale then ordered_date end) as first_ordered_date,
        max(case when is_history and is_sale then ordered_date end) as last_ordered_date
    from lines_placed
    group by customer_id, currency, is_horizon_over
    having count(case when is_history and is_sale then 1 end) > 0

)

select * from customer_lifetime_value
