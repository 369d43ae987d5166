with experiments as (

    {{ current_rows('crm.experiments', key='experiment_name') }}

),

stg_crm__experiments as (

    select
        experiment_name,
        coalesce(metric, 'orders') as metric,
        minimum_metric_value,
        conversion_window_days,
        starts_at,
        _loaded_at,
        _is_backfill
    from experiments

)

select * from stg_crm__experiments
