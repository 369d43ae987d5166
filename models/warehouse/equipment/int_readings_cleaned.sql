{#- Cleaning looks one day to either side: a reading changes its day and the two next to it. -#}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_affected_keys(
        key='unit_day', inputs=['equipment.readings', 'equipment.measurements'],
        dimensions=['dim_unit'], at='read_at', touches=name_unit_days()
    ) }}",
    post_hook="{{ record_incremental_state(['equipment.readings', 'equipment.measurements']) }}",
) }}

with readings as (

    {{ current_rows(
        'equipment.readings', key=['unit_id', 'read_at'],
        affected_by='unit_day', touches=name_unit_days()
    ) }}

),

measurements as (

    {{ current_rows(
        'equipment.measurements', key=['unit_id', 'quantity', 'read_at'],
        affected_by='unit_day', touches=name_unit_days()
    ) }}

),

dim_unit as (

    select * from {{ ref('dim_unit') }}

),

sensor_rules as (

    select * from {{ ref('sensor_rules') }}

),

values_sent as (

    {{ list_sensor_values('readings', 'measurements', sensor_quantities()) | indent(4) }}

),

values_of_units as (

    select
        values_sent.*,
        coalesce(dim_unit.unit_key, {{ unknown_key() }}) as unit_key,
        dim_unit.model
    from values_sent
    left join dim_unit
        on {{ as_of('dim_unit', 'values_sent.unit_id', at='values_sent.read_at') }}

),

sensors as (

    select distinct
        unit_id,
        unit_key,
        model,
        quantity
    from values_of_units

),

-- Numbered, because DuckDB sorts numbers faster than text.
sensors_numbered as (

    select
        *,
        dense_rank() over (order by quantity) as quantity_number,
        row_number() over (order by unit_id, unit_key, quantity) as sensor_number
    from sensors

),

rules_of_sensors as (

    {{ choose_rules('sensors_numbered', 'sensor_rules', [
        'lowest_possible', 'highest_possible', 'largest_change_per_minute', 'stuck_minutes',
        'smoothing_minutes', 'longest_gap_minutes',
    ]) | indent(4) }}

),

values_listed as (

    select
        values_of_units.unit_id,
        rules_of_sensors.quantity_number,
        rules_of_sensors.sensor_number,
        values_of_units.sensor_value,
        case
            when
                {{ is_finite('values_of_units.sensor_value') }}
                and values_of_units.sensor_value between
                coalesce(rules_of_sensors.lowest_possible, values_of_units.sensor_value)
                and coalesce(rules_of_sensors.highest_possible, values_of_units.sensor_value)
                then values_of_units.sensor_value
        end as possible_value,
        values_of_units.is_door_open,
        rules_of_sensors.largest_change_per_minute / 60000000 as largest_change_per_us,
        rules_of_sensors.stuck_minutes * cast(60000000 as bigint) as stuck_us,
        coalesce(rules_of_sensors.smoothing_minutes, 0) * cast(60000000 as bigint) as smoothing_us,
        coalesce(rules_of_sensors.longest_gap_minutes, 0) * cast(60000000 as bigint)
            as longest_gap_us,
        {{ convert_to_epoch_us('values_of_units.read_at') }} as at_us,
        values_of_units.read_at,
        case
            when values_of_units._is_backfill then values_of_units.read_at
            else greatest(values_of_units.read_at, values_of_units._loaded_at)
        end as known_at
    from values_of_units
    inner join rules_of_sensors
        on
            values_of_units.unit_id = rules_of_sensors.unit_id
            and values_of_units.unit_key = rules_of_sensors.unit_key
            and values_of_units.quantity = rules_of_sensors.quantity

),

values_judged as (

    {{ check_sensor_values('values_listed') | indent(4) }}

),

values_cleaned as (

    {{ clean_sensor_values('values_judged') | indent(4) }}

),

-- When the last reading of the unit within a day arrived: cleaning may have used it.
arrivals as (

    select
        unit_id,
        read_at,
        max(max(_loaded_at)) over within_a_day as _loaded_at,
        min(min(_is_backfill)) over within_a_day as _is_backfill
    from values_sent
    group by unit_id, read_at
    window within_a_day as (
        partition by unit_id order by {{ convert_to_epoch_us('read_at') }}
        range between 86400000000 preceding and 86400000000 following
    )

),

days_named as (

    select
        *,
        {{ name_unit_day() }} as unit_day
    from values_cleaned

),

int_readings_cleaned as (

    select
        days_named.unit_id,
        rules_of_sensors.unit_key,
        days_named.unit_day,
        rules_of_sensors.quantity,
        days_named.finding,
        days_named.sensor_value,
        days_named.possible_value,
        days_named.cleaned_value,
        coalesce(rules_of_sensors.longest_gap_minutes, 0) as longest_gap_minutes,
        rules_of_sensors.stuck_minutes,
        days_named.is_door_open,
        days_named.is_imputed,
        days_named.read_at,
        days_named.known_at,
        arrivals._loaded_at,
        arrivals._is_backfill
    from days_named
    inner join rules_of_sensors on days_named.sensor_number = rules_of_sensors.sensor_number
    inner join arrivals
        on
            days_named.unit_id = arrivals.unit_id
            and days_named.read_at = arrivals.read_at

)

select * from int_readings_cleaned
{{ filter_affected_keys('unit_day') }}
