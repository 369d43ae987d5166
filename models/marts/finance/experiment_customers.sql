with assignments as (

    select * from {{ ref('fct_experiment_assignments') }}

),

dim_experiment as (

    select * from {{ ref('dim_experiment') }}

),

orders as (

    select * from {{ ref('fct_orders') }}

),

latest_order as (

    select max(ordered_at) as as_of
    from orders

),

windows_bounded as (

    select
        assignments.*,
        dim_experiment.minimum_order_count,
        dim_experiment.is_control,
        cast({{ dbt.dateadd(
            'day', 'dim_experiment.conversion_window_days', 'assignments.started_at'
        ) }} as timestamp) as window_ends_at
    from assignments
    inner join dim_experiment
        on
            assignments.experiment_name = dim_experiment.experiment_name
            and assignments.variant = dim_experiment.variant

),

states_told as (

    select
        windows_bounded.*,
        case
            when windows_bounded.is_removed then 'removed'
            when windows_bounded.is_contaminated then 'contaminated'
            when not windows_bounded.is_exposed then 'unexposed'
            when windows_bounded.window_ends_at <= latest_order.as_of then 'compared'
            else 'waiting'
        end as participation
    from windows_bounded
    cross join latest_order

),

orders_within_windows as (

    select
        states_told.experiment_name,
        states_told.customer_id,
        states_told.participation,
        orders.currency,
        case when orders.is_sale then 1 else 0 end as has_sale,
        coalesce(orders.net_sales_amount, 0) as net_sales_amount,
        orders.ordered_at
    from states_told
    inner join orders on states_told.customer_id = orders.customer_id
    where
        (orders.is_sale or orders.net_sales_amount is not null)
        and orders.ordered_at >= states_told.started_at
        and orders.ordered_at < states_told.window_ends_at

),

currencies_ranked as (

    select
        experiment_name,
        currency,
        row_number() over (
            partition by experiment_name order by sum(has_sale) desc, currency
        ) as currency_rank
    from orders_within_windows
    where participation in ('compared', 'waiting')
    group by experiment_name, currency

),

purchases_counted as (

    select
        orders_within_windows.experiment_name,
        orders_within_windows.customer_id,
        sum(orders_within_windows.has_sale) as order_count,
        sum(
            case when currencies_ranked.currency is null then 0 else 1 end
            * orders_within_windows.net_sales_amount
        ) as window_net_sales_amount,
        min(
            case when orders_within_windows.has_sale = 1 then orders_within_windows.ordered_at end
        ) as first_ordered_at
    from orders_within_windows
    left join currencies_ranked
        on
            orders_within_windows.experiment_name = currencies_ranked.experiment_name
            and orders_within_windows.currency = currencies_ranked.currency
            and currencies_ranked.currency_rank = 1
    group by orders_within_windows.experiment_name, orders_within_windows.customer_id

),

experiment_customers as (

    select
        states_told.experiment_name,
        states_told.customer_id,
        states_told.variant,
        states_told.participation,
        currencies_ranked.currency,
        cast(coalesce(purchases_counted.window_net_sales_amount, 0) as decimal(18, 4))
            as window_net_sales_amount,
        cast(coalesce(purchases_counted.order_count, 0) as bigint) as order_count,
        states_told.is_control,
        case
            when states_told.window_ends_at <= latest_order.as_of
                then coalesce(purchases_counted.order_count, 0) >= states_told.minimum_order_count
        end as is_converted,
        states_told.assigned_at,
        states_told.started_at,
        states_told.window_ends_at,
        purchases_counted.first_ordered_at
    from states_told
    cross join latest_order
    left join purchases_counted
        on
            states_told.experiment_name = purchases_counted.experiment_name
            and states_told.customer_id = purchases_counted.customer_id
    left join currencies_ranked
        on
            states_told.experiment_name = currencies_ranked.experiment_name
            and currencies_ranked.currency_rank = 1

)

select * from experiment_customers
