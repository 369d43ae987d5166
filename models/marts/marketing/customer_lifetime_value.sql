{{ config(materialized='table_function', parameters=['as_of', 'horizon_days']) }}

with line_changes as (

    select * from {{ ref('fct_order_line_changes').include(database=false) }}

),

order_changes as (

    select * from {{ ref('fct_order_status_changes').include(database=false) }}

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
        coalesce(
            {{ business_date('max(order_changes.valid_from)') }}
            > {{ business_date("horizon.ends_at - interval '1' microsecond") }},
            false
        ) as is_over
    from horizon
    left join order_changes on true
    group by horizon.begins_at, horizon.ends_at

),

last_day_before as (

    select {{ business_date("begins_at - interval '1' microsecond") }} as as_of_date
    from horizon

),

history_lines as (

    select line_changes.*
    from line_changes
    inner join horizon on {{ was_known_before('line_changes', at='horizon.begins_at') }}
    where line_changes.customer_id is not null

),

history as (

    {{ measure_purchases('history_lines', until='last_day_before') }}

),

lines_at_end as (

    select line_changes.*
    from line_changes
    inner join horizon on {{ was_known_before('line_changes', at='horizon.ends_at') }}
    where line_changes.customer_id is not null

),

amounts_at_end as (

    select
        customer_id,
        currency,
        sum(net_amount) as net_sales_amount
    from lines_at_end
    where is_in_net_sales
    group by customer_id, currency

),

new_purchase_days as (

    select
        customer_id,
        currency,
        ordered_date
    from lines_at_end
    where is_sale

    except

    select
        customer_id,
        currency,
        ordered_date
    from history_lines
    where is_sale

),

purchases_counted as (

    select
        customer_id,
        currency,
        count(*) as purchase_count
    from new_purchase_days
    group by customer_id, currency

),

customer_lifetime_value as (

    select
        history.customer_id,
        history.currency,
        history.net_sales_amount as history_net_sales_amount,
        cast(
            coalesce(amounts_at_end.net_sales_amount, 0) - history.net_sales_amount
            as decimal(18, 4)
        ) as horizon_net_sales_amount,
        history.repeat_purchase_amount,
        history.repeat_purchase_count,
        coalesce(purchases_counted.purchase_count, 0) as horizon_purchase_count,
        history.purchase_span_days,
        history.observed_days,
        history.recency_days,
        horizon_compared.is_over as is_horizon_over,
        history.first_purchase_date,
        history.last_purchase_date
    from history
    cross join horizon_compared
    left join amounts_at_end
        on
            history.customer_id = amounts_at_end.customer_id
            and history.currency = amounts_at_end.currency
    left join purchases_counted
        on
            history.customer_id = purchases_counted.customer_id
            and history.currency = purchases_counted.currency

)

select * from customer_lifetime_value
