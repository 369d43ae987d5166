with experiment_variants as (

    {{ current_rows('crm.experiment_variants', key=['experiment_name', 'variant']) }}

),

stg_crm__experiment_variants as (

    select
        experiment_name,
        variant,
        coalesce(planned_weight, 1) as planned_weight,
        coalesce(is_control, false) as is_control,
        _loaded_at,
        _is_backfill
    from experiment_variants

)

select * from stg_crm__experiment_variants
