with ordered_changes as (

    {{ order_changes('equipment.units', key='unit_id') }}

),

stg_equipment__unit_history as (

    select
        unit_id,
        site,
        model,
        _change_number as change_number,
        _is_tombstone as is_deleted,
        _number_from_last = 1 as is_latest,
        installed_at,
        _changed_at as changed_at,
        _loaded_at,
        _is_backfill
    from ordered_changes

)

select * from stg_equipment__unit_history
