with windows as (

    select * from {{ ref('int_experiment_windows_bounded') }}

),

event_metrics as (

    select * from {{ ref('int_experiment_metrics_measured') }}

),

orders as (

    select * from {{ ref('fct_orders') }}

),

orders_within_windows as (

    select
        windows.experiment_name,
        windows.customer_id,
        windows.participation,
        orders.currency,
        case when orders.is_sale then 1 else 0 end as has_sale,
        coalesce(orders.net_sales_amount, 0) as net_sales_amount,
        orders.ordered_at
    from windows
    inner join orders on windows.customer_id = orders.customer_id
    where
        (orders.is_sale or orders.net_sales_amount is not null)
        and orders.ordered_at >= windows.started_at
        and orders.ordered_at < windows.window_ends_at

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

outcomes_measured as (

    select
        windows.*,
        currencies_ranked.currency,
        cast(coalesce(purchases_counted.window_net_sales_amount, 0) as decimal(18, 4))
            as window_net_sales_amount,
        cast(coalesce(purchases_counted.order_count, 0) as bigint) as order_count,
        {{ choose_metric_value(
            'windows.metric', 'coalesce(purchases_counted.order_count, 0)',
            'event_metrics.metric_value',
        ) }} as metric_value,
        purchases_counted.first_ordered_at
    from windows
    left join purchases_counted
        on
            windows.experiment_name = purchases_counted.experiment_name
            and windows.customer_id = purchases_counted.customer_id
    left join event_metrics
        on
            windows.experiment_name = event_metrics.experiment_name
            and windows.customer_id = event_metrics.customer_id
    left join currencies_ranked
        on
            windows.experiment_name = currencies_ranked.experiment_name
            and currencies_ranked.currency_rank = 1

),

experiment_customers as (

    select
        experiment_name,
        customer_id,
        variant,
        participation,
        metric,
        currency,
        window_net_sales_amount,
        order_count,
        metric_value,
        is_control,
        case
            when is_window_over and metric in ({{ list_metric_names() }})
                then coalesce(metric_value >= minimum_metric_value, false)
        end as is_converted,
        assigned_at,
        started_at,
        window_ends_at,
        first_ordered_at
    from outcomes_measured

)

select * from experiment_customers
