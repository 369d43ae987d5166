{#- Cleaning looks a day to either side: a reading touches its unit's day and its neighbours. -#}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_affected_keys(
        key='unit_day', inputs=['equipment.readings'], touches=name_unit_days()
    ) }}",
    post_hook="{{ record_incremental_state(['equipment.readings']) }}",
) }}

with readings as (

    {{ current_rows(
        'equipment.readings', key=['unit_id', 'read_at'],
        affected_by='unit_day', touches=name_unit_days()
    ) }}

),

sensor_rules as (

    select * from {{ ref('sensor_rules') }}

),

readings_cleaned as (

    {{ clean_readings('readings', 'sensor_rules', sensor_quantities()) }}

),

days_named as (

    select
        *,
        {{ name_unit_day() }} as unit_day
    from readings_cleaned

),

int_readings_cleaned as (

    select
        unit_id,
        unit_day,
        temperature_celsius_finding,
        humidity_pct_finding,
        vibration_mm_s_finding,
        power_watts_finding,
        temperature_celsius,
        cleaned_temperature_celsius,
        humidity_pct,
        cleaned_humidity_pct,
        vibration_mm_s,
        cleaned_vibration_mm_s,
        power_watts,
        cleaned_power_watts,
        is_door_open,
        is_temperature_celsius_imputed,
        is_humidity_pct_imputed,
        is_vibration_mm_s_imputed,
        is_power_watts_imputed,
        read_at,
        next_read_at,
        _loaded_at,
        _is_backfill
    from days_named
    {{ filter_affected_keys('unit_day') }}

)

select * from int_readings_cleaned
