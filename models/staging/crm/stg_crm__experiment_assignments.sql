with assignment_history as (

    select * from {{ ref('stg_crm__experiment_assignment_history') }}

),

variants_counted as (

    select
        experiment_name,
        customer_id,
        count(distinct variant) as variant_count
    from assignment_history
    group by experiment_name, customer_id

),

stg_crm__experiment_assignments as (

    select
        assignment_history.experiment_name,
        assignment_history.customer_id,
        assignment_history.variant,
        variants_counted.variant_count,
        assignment_history.assigned_at,
        assignment_history.exposed_at,
        assignment_history.removed_at,
        assignment_history._loaded_at,
        assignment_history._is_backfill
    from assignment_history
    inner join variants_counted
        on
            assignment_history.experiment_name = variants_counted.experiment_name
            and assignment_history.customer_id = variants_counted.customer_id
    where assignment_history.is_latest and not assignment_history.is_deleted

)

select * from stg_crm__experiment_assignments
