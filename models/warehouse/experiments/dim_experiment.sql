with assignments as (

    select * from {{ ref('stg_crm__experiment_assignments') }}

),

experiments as (

    select * from {{ ref('stg_crm__experiments') }}

),

experiment_variants as (

    select * from {{ ref('stg_crm__experiment_variants') }}

),

variants_known as (

    select
        experiment_name,
        variant
    from assignments

    union distinct

    select
        experiment_name,
        variant
    from experiment_variants
    where experiment_name in (select assignments.experiment_name from assignments)

),

variants_weighed as (

    select
        variants_known.experiment_name,
        variants_known.variant,
        case
            when
                count(experiment_variants.variant) over (
                    partition by variants_known.experiment_name
                ) = 0
                then 1
            else coalesce(experiment_variants.planned_weight, 0)
        end as planned_weight,
        experiment_variants.variant is not null as is_planned,
        coalesce(experiment_variants.is_control, false) as is_planned_control
    from variants_known
    left join experiment_variants
        on
            variants_known.experiment_name = experiment_variants.experiment_name
            and variants_known.variant = experiment_variants.variant

),

-- If there is a plan, the control is one of its variants, even if other variants were seen.
controls_found as (

    select
        experiment_name,
        coalesce(
            min(case when is_planned_control then variant end),
            max(case when is_planned and variant = 'control' then variant end),
            min(case when is_planned then variant end),
            max(case when variant = 'control' then variant end),
            min(variant)
        ) as control_variant
    from variants_weighed
    group by experiment_name

),

dim_experiment as (

    select
        variants_weighed.experiment_name,
        variants_weighed.variant,
        controls_found.control_variant,
        coalesce(experiments.metric, 'orders') as metric,
        coalesce(cast(experiments.minimum_metric_value as double), 1) as minimum_metric_value,
        coalesce(
            experiments.conversion_window_days, {{ var('default_conversion_window_days') }}
        ) as conversion_window_days,
        coalesce(
            variants_weighed.planned_weight * 1e0 / nullif(
                sum(variants_weighed.planned_weight) over (
                    partition by variants_weighed.experiment_name
                ), 0
            ), 0
        ) as planned_share,
        variants_weighed.variant = controls_found.control_variant as is_control,
        variants_weighed.is_planned,
        experiments.starts_at
    from variants_weighed
    inner join controls_found
        on variants_weighed.experiment_name = controls_found.experiment_name
    left join experiments
        on variants_weighed.experiment_name = experiments.experiment_name

)

select * from dim_experiment
