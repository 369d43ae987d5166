with ordered_changes as (

    {{ order_changes('crm.experiment_assignments', key=['experiment_name', 'customer_id']) }}

),

stg_crm__experiment_assignment_history as (

    select
        experiment_name,
        customer_id,
        variant,
        _change_number as change_number,
        _is_tombstone as is_deleted,
        _number_from_last = 1 as is_latest,
        assigned_at,
        exposed_at,
        removed_at,
        _changed_at as changed_at,
        _loaded_at,
        _is_backfill
    from ordered_changes

)

select * from stg_crm__experiment_assignment_history
