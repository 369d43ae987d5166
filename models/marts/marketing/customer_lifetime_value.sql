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

last_day_before as (

    select cast(begins_at - interval '1' microsecond as date) as as_of_date
    from horizon

),

history_lines as (

    select order_lines.*
    from order_lines
    inner join horizon on order_lines.ordered_at < horizon.begins_at
    where order_lines.customer_id is not null

),

history as (

    {{ measure_purchases('history_lines', until='last_day_before') }}

),

horizon_summed as (

    select
        order_lines.customer_id,
        order_lines.currency,
        sum(order_lines.net_amount) as net_sales_amount,
        count(distinct case when order_lines.is_sale then order_lines.ordered_date end)
            as purchase_count
    from order_lines
    inner join horizon
        on order_lines.ordered_at >= horizon.begins_at and order_lines.ordered_at < horizon.ends_at
    where order_lines.is_in_net_sales
    group by order_lines.customer_id, order_lines.currency

),

customer_lifetime_value as (

    select
        history.customer_id,
        history.currency,
        history.net_sales_amount as history_net_sales_amount,
        cast(coalesce(horizon_summed.net_sales_amount, 0) as decimal(18, 4))
            as horizon_net_sales_amount,
        history.repeat_purchase_amount,
        history.repeat_purchase_count,
        coalesce(horizon_summed.purchase_count, 0) as horizon_purchase_count,
        history.purchase_span_days,
        history.observed_days,
        history.recency_days,
        horizon_compared.is_over as is_horizon_over,
        history.first_purchase_date,
        history.last_purchase_date
    from history
    cross join horizon_compared
    left join horizon_summed
        on
            history.customer_id = horizon_summed.customer_id
            and history.currency = horizon_summed.currency

)

select * from customer_lifetime_value
