with readings as (

    {{ current_rows('equipment.readings', key=['unit_id', 'read_at']) }}

),

stg_equipment__readings as (

    select
        unit_id,
        payload,
        temperature_celsius,
        humidity_pct,
        vibration_mm_s,
        power_watts,
        door_open as is_door_open,
        read_at,
        _loaded_at,
        _is_backfill
    from readings

)

select * from stg_equipment__readings
