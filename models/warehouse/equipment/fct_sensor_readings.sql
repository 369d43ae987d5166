with readings_cleaned as (

    select * from {{ ref('int_readings_cleaned') }}

),

dim_unit as (

    select * from {{ ref('dim_unit') }}

),

sensor_rules as (

    select * from {{ ref('sensor_rules') }}

),

longest_gaps as (

    select
        {%- for quantity in sensor_quantities() %}
            max(case when quantity = '{{ quantity }}' then longest_gap_minutes end)
                as longest_{{ quantity }}_gap_minutes,
        {%- endfor %}
        max(longest_gap_minutes) as longest_gap_minutes
    from sensor_rules

),

hours_read as (

    select
        unit_id,
        count(*) as reading_count,
        {{ summarise_sensor('temperature_celsius') }},
        {{ summarise_sensor('humidity_pct') }},
        {{ summarise_sensor('vibration_mm_s') }},
        {{ summarise_sensor('power_watts') }},
        100.0 * count(case when is_door_open then 1 end) / nullif(count(is_door_open), 0)
            as door_open_pct,
        date_trunc('hour', read_at) as hour_at,
        max(_loaded_at) as _loaded_at,
        min(_is_backfill) as _is_backfill
    from readings_cleaned
    group by unit_id, date_trunc('hour', read_at)

),

-- Whole hours without a reading, within gaps that the rules of any quantity allow to be filled.
gaps_found as (

    select
        readings_cleaned.unit_id,
        readings_cleaned.cleaned_temperature_celsius,
        readings_cleaned.cleaned_humidity_pct,
        readings_cleaned.cleaned_vibration_mm_s,
        readings_cleaned.cleaned_power_watts,
        readings_cleaned.read_at,
        readings_cleaned.next_read_at
    from readings_cleaned
    cross join longest_gaps
    where
        date_trunc('hour', readings_cleaned.next_read_at)
        > {{ dbt.dateadd('hour', 1, "date_trunc('hour', readings_cleaned.read_at)") }}
        and readings_cleaned.next_read_at
        <= readings_cleaned.read_at + longest_gaps.longest_gap_minutes * interval '1' minute

),

gaps_ended as (

    select
        gaps_found.unit_id,
        gaps_found.cleaned_temperature_celsius,
        next_readings.cleaned_temperature_celsius as next_temperature_celsius,
        gaps_found.cleaned_humidity_pct,
        next_readings.cleaned_humidity_pct as next_humidity_pct,
        gaps_found.cleaned_vibration_mm_s,
        next_readings.cleaned_vibration_mm_s as next_vibration_mm_s,
        gaps_found.cleaned_power_watts,
        next_readings.cleaned_power_watts as next_power_watts,
        gaps_found.read_at,
        gaps_found.next_read_at,
        next_readings._loaded_at,
        next_readings._is_backfill
    from gaps_found
    inner join readings_cleaned as next_readings
        on
            gaps_found.unit_id = next_readings.unit_id
            and gaps_found.next_read_at = next_readings.read_at

),

gap_hours_listed as (

    select
        *,
        {{ list_hours(
            dbt.dateadd('hour', 1, "date_trunc('hour', read_at)"),
            dbt.dateadd('hour', -1, "date_trunc('hour', next_read_at)")
        ) }} as hour_at
    from gaps_ended

),

-- How far the middle of the hour is on the way from the reading before to the one after.
gap_hours_placed as (

    select
        gap_hours_listed.*,
        {%- for quantity in sensor_quantities() %}
            longest_gaps.longest_{{ quantity }}_gap_minutes,
        {%- endfor %}
        ({{ convert_to_epoch_us('next_read_at') }} - {{ convert_to_epoch_us('read_at') }})
        / 60000000.0 as gap_minutes,
        ({{ convert_to_epoch_us('hour_at') }} + 1800000000 - {{ convert_to_epoch_us('read_at') }})
        * 1.0
        / ({{ convert_to_epoch_us('next_read_at') }} - {{ convert_to_epoch_us('read_at') }})
            as way_passed
    from gap_hours_listed
    cross join longest_gaps

),

hours_filled as (

    select
        unit_id,
        0 as reading_count,
        {{ fill_sensor('temperature_celsius') }},
        {{ fill_sensor('humidity_pct') }},
        {{ fill_sensor('vibration_mm_s') }},
        {{ fill_sensor('power_watts') }},
        cast(null as double) as door_open_pct,
        hour_at,
        _loaded_at,
        _is_backfill
    from gap_hours_placed

),

hours as (

    select * from hours_read
    union all
    select * from hours_filled

),

fct_sensor_readings as (

    select
        hours.unit_id,
        coalesce(dim_unit.unit_key, {{ unknown_key() }}) as unit_key,
        hours.reading_count,
        hours.mean_temperature_celsius,
        hours.min_temperature_celsius,
        hours.max_temperature_celsius,
        hours.raw_mean_temperature_celsius,
        hours.imputed_temperature_celsius_count,
        hours.stuck_temperature_celsius_count,
        hours.impossible_temperature_celsius_count,
        hours.mean_humidity_pct,
        hours.min_humidity_pct,
        hours.max_humidity_pct,
        hours.raw_mean_humidity_pct,
        hours.imputed_humidity_pct_count,
        hours.stuck_humidity_pct_count,
        hours.impossible_humidity_pct_count,
        hours.mean_vibration_mm_s,
        hours.min_vibration_mm_s,
        hours.max_vibration_mm_s,
        hours.raw_mean_vibration_mm_s,
        hours.imputed_vibration_mm_s_count,
        hours.stuck_vibration_mm_s_count,
        hours.impossible_vibration_mm_s_count,
        hours.mean_power_watts,
        hours.min_power_watts,
        hours.max_power_watts,
        hours.raw_mean_power_watts,
        hours.imputed_power_watts_count,
        hours.stuck_power_watts_count,
        hours.impossible_power_watts_count,
        cast(hours.door_open_pct as double) as door_open_pct,
        hours.reading_count = 0 as is_imputed,
        cast(hours.hour_at as date) as hour_date,
        hours.hour_at,
        hours._loaded_at,
        hours._is_backfill
    from hours
    left join dim_unit on {{ as_of('dim_unit', 'hours.unit_id', at='hours.hour_at') }}

)

select * from fct_sensor_readings
