{{ config(materialized='view') }}

with windows as (

    select * from {{ ref('int_experiment_windows_bounded') }}

),

web_events as (

    select * from {{ ref('fct_web_events') }}

),

events_within_windows as (

    select
        windows.experiment_name,
        windows.metric,
        web_events.*
    from windows
    inner join web_events on windows.customer_id = web_events.customer_id
    where
        not web_events.is_declared_bot
        and web_events.occurred_at >= windows.started_at
        and web_events.occurred_at < windows.window_ends_at

),

int_experiment_metrics_measured as (

    {% for name, metric in var('experiment_metrics').items() -%}
        select
            experiment_name,
            customer_id,
            {{ measure_metric(metric) }} as metric_value
        from events_within_windows
        where metric = '{{ name }}' and event_type = '{{ metric.event_type }}'
        group by experiment_name, customer_id

        union all

    {% endfor -%}
    select
        experiment_name,
        customer_id,
        cast(null as double) as metric_value
    from events_within_windows
    where false

)

select * from int_experiment_metrics_measured
