{%- set quantities = sensor_quantities() %}

with readings_cleaned as (

    select * from {{ ref('int_readings_cleaned') }}

),

dim_unit as (

    select * from {{ ref('dim_unit') }}

),

sensor_rules as (

    select * from {{ ref('sensor_rules') }}

),

longest_gap as (

    select coalesce(max(longest_gap_minutes), 0) as longest_gap_minutes
    from sensor_rules

),

hours_read as (

    select
        unit_id,
        count(*) as reading_count,
        {%- for quantity in quantities %}
        avg(cleaned_{{ quantity }}) as mean_{{ quantity }},
        min(cleaned_{{ quantity }}) as min_{{ quantity }},
        max(cleaned_{{ quantity }}) as max_{{ quantity }},
        avg({{ quantity }}) as raw_mean_{{ quantity }},
        count(case when is_{{ quantity }}_imputed then 1 end) as imputed_{{ quantity }}_count,
        count(case when {{ quantity }}_finding = 'stuck' then 1 end) as stuck_{{ quantity }}_count,
        count(case when {{ quantity }}_finding like 'impossible%' then 1 end)
            as impossible_{{ quantity }}_count,
        {%- endfor %}
        100.0 * count(case when is_door_open then 1 end) / nullif(count(is_door_open), 0)
            as door_open_pct,
        date_trunc('hour', read_at) as hour_at,
        max(_loaded_at) as _loaded_at,
        min(_is_backfill) as _is_backfill
    from readings_cleaned
    group by unit_id, date_trunc('hour', read_at)

),

-- Whole hours without a reading, within gaps that the rules allow to be filled.
gaps_found as (

    select
        readings_cleaned.unit_id,
        {%- for quantity in quantities %}
        readings_cleaned.cleaned_{{ quantity }},
        {%- endfor %}
        readings_cleaned.read_at,
        readings_cleaned.next_read_at
    from readings_cleaned
    cross join longest_gap
    where
        date_trunc('hour', readings_cleaned.next_read_at)
        > {{ dbt.dateadd('hour', 1, "date_trunc('hour', readings_cleaned.read_at)") }}
        and readings_cleaned.next_read_at
        <= readings_cleaned.read_at + longest_gap.longest_gap_minutes * interval '1' minute

),

gaps_ended as (

    select
        gaps_found.unit_id,
        {%- for quantity in quantities %}
        gaps_found.cleaned_{{ quantity }},
        next_readings.cleaned_{{ quantity }} as next_{{ quantity }},
        {%- endfor %}
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
        *,
        ({{ convert_to_epoch_us('hour_at') }} + 1800000000 - {{ convert_to_epoch_us('read_at') }})
        * 1.0
        / ({{ convert_to_epoch_us('next_read_at') }} - {{ convert_to_epoch_us('read_at') }})
            as way_passed
    from gap_hours_listed

),

hours_filled as (

    select
        unit_id,
        0 as reading_count,
        {%- for quantity in quantities %}
        {%- set value -%}
            cleaned_{{ quantity }} + (next_{{ quantity }} - cleaned_{{ quantity }}) * way_passed
        {%- endset %}
        {{ value }} as mean_{{ quantity }},
        {{ value }} as min_{{ quantity }},
        {{ value }} as max_{{ quantity }},
        cast(null as double) as raw_mean_{{ quantity }},
        0 as imputed_{{ quantity }}_count,
        0 as stuck_{{ quantity }}_count,
        0 as impossible_{{ quantity }}_count,
        {%- endfor %}
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
        {%- for quantity in quantities %}
        hours.mean_{{ quantity }},
        hours.min_{{ quantity }},
        hours.max_{{ quantity }},
        hours.raw_mean_{{ quantity }},
        hours.imputed_{{ quantity }}_count,
        hours.stuck_{{ quantity }}_count,
        hours.impossible_{{ quantity }}_count,
        {%- endfor %}
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
