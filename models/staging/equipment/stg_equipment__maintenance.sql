with maintenance as (

    {{ current_rows('equipment.maintenance', key='maintenance_id') }}

),

stg_equipment__maintenance as (

    select
        maintenance_id,
        unit_id,
        kind as maintenance_kind,
        started_at,
        ended_at,
        updated_at,
        _loaded_at,
        _is_backfill
    from maintenance

)

select * from stg_equipment__maintenance
