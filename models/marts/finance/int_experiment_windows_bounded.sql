{{ config(materialized='view') }}

with assignments as (

    select * from {{ ref('fct_experiment_assignments') }}

),

dim_experiment as (

    select * from {{ ref('dim_experiment') }}

),

orders as (

    select * from {{ ref('fct_orders') }}

),

web_events as (

    select * from {{ ref('fct_web_events') }}

),

latest_order as (

    select max(ordered_at) as latest_at
    from orders

),

latest_event as (

    select max(occurred_at) as latest_at
    from web_events

),

starts_found as (

    select
        assignments.experiment_name,
        assignments.customer_id,
        assignments.variant,
        dim_experiment.metric,
        dim_experiment.minimum_metric_value,
        dim_experiment.conversion_window_days,
        dim_experiment.is_control,
        assignments.is_exposed,
        assignments.is_contaminated,
        assignments.is_removed,
        assignments.assigned_at,
        case
            when dim_experiment.starts_at > assignments.started_at then dim_experiment.starts_at
            else assignments.started_at
        end as started_at
    from assignments
    inner join dim_experiment
        on
            assignments.experiment_name = dim_experiment.experiment_name
            and assignments.variant = dim_experiment.variant

),

windows_bounded as (

    select
        *,
        cast({{ dbt.dateadd('day', 'conversion_window_days', 'started_at') }} as timestamp)
            as window_ends_at
    from starts_found

),

windows_compared as (

    select
        windows_bounded.*,
        coalesce(
            windows_bounded.window_ends_at <= case
                when windows_bounded.metric = 'orders' then latest_order.latest_at
                else latest_event.latest_at
            end,
            false
        ) as is_window_over
    from windows_bounded
    cross join latest_order
    cross join latest_event

),

int_experiment_windows_bounded as (

    select
        experiment_name,
        customer_id,
        variant,
        case
            when is_removed then 'removed'
            when is_contaminated then 'contaminated'
            when not is_exposed then 'unexposed'
            when is_window_over then 'compared'
            else 'waiting'
        end as participation,
        metric,
        minimum_metric_value,
        is_control,
        is_window_over,
        assigned_at,
        started_at,
        window_ends_at
    from windows_compared

)

select * from int_experiment_windows_bounded
