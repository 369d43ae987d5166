-- Imported three times, since DuckDB copies a CTE into memory if it is read more than once.
with readings_cleaned as (

    select * from {{ ref('int_readings_cleaned') }}

),

last_readings as (

    select * from {{ ref('int_readings_cleaned') }}

),

next_readings as (

    select * from {{ ref('int_readings_cleaned') }}

),

dim_unit as (

    select * from {{ ref('dim_unit') }}

),

sensor_rules as (

    select * from {{ ref('sensor_rules') }}

),

longest_gap as (

    select max(longest_gap_minutes) as longest_gap_minutes from sensor_rules

),

-- Whole hours without a reading, in gaps that the rule of at least one quantity fills.
gaps_found as (

    select
        last_readings.unit_id,
        last_readings.quantity,
        case
            when
                last_readings.next_read_at
                <= last_readings.read_at + sensor_rules.longest_gap_minutes * interval '1' minute
                then last_readings.cleaned_value
        end as cleaned_value,
        next_readings.cleaned_value as next_value,
        last_readings.read_at,
        last_readings.next_read_at,
        next_readings._loaded_at,
        next_readings._is_backfill
    from last_readings
    inner join next_readings
        on
            last_readings.unit_id = next_readings.unit_id
            and last_readings.quantity = next_readings.quantity
            and last_readings.next_read_at = next_readings.read_at
    left join sensor_rules on last_readings.quantity = sensor_rules.quantity
    cross join longest_gap
    where
        date_trunc('hour', last_readings.next_read_at)
        > {{ dbt.dateadd('hour', 1, "date_trunc('hour', last_readings.read_at)") }}
        and last_readings.next_read_at
        <= last_readings.read_at + longest_gap.longest_gap_minutes * interval '1' minute

),

gap_hours_listed as (

    select
        *,
        {{ list_hours(
            dbt.dateadd('hour', 1, "date_trunc('hour', read_at)"),
            dbt.dateadd('hour', -1, "date_trunc('hour', next_read_at)")
        ) }} as hour_at
    from gaps_found

),

-- The value at the middle of the hour, on the line from the reading before to the one after.
values_filled as (

    select
        *,
        round(
            cleaned_value
            + (next_value - cleaned_value)
            * (
                (
                    {{ convert_to_epoch_us('hour_at') }} + 1800000000
                    - {{ convert_to_epoch_us('read_at') }}
                )
                * 1.0
                / ({{ convert_to_epoch_us('next_read_at') }} - {{ convert_to_epoch_us('read_at') }})
            ),
            4
        ) as filled_value
    from gap_hours_listed

),

values_listed as (

    select
        unit_id,
        quantity,
        finding,
        sensor_value,
        cleaned_value,
        is_door_open,
        is_imputed,
        read_at,
        date_trunc('hour', read_at) as hour_at,
        _loaded_at,
        _is_backfill
    from readings_cleaned

    union all

    select
        unit_id,
        quantity,
        null as finding,
        null as sensor_value,
        filled_value as cleaned_value,
        null as is_door_open,
        false as is_imputed,
        null as read_at,
        hour_at,
        _loaded_at,
        _is_backfill
    from values_filled

),

-- Rounded: threads add doubles in any order, and a rebuild must give the same rows.
hours as (

    select
        unit_id,
        count(case when quantity = '{{ sensor_quantities() | first }}' then read_at end)
            as reading_count,
        {%- for quantity in sensor_quantities() %}
            round(avg(case when quantity = '{{ quantity }}' then cleaned_value end), 4)
                as mean_{{ quantity }},
            min(case when quantity = '{{ quantity }}' then cleaned_value end)
                as min_{{ quantity }},
            max(case when quantity = '{{ quantity }}' then cleaned_value end)
                as max_{{ quantity }},
            round(avg(case when quantity = '{{ quantity }}' then sensor_value end), 4)
                as raw_mean_{{ quantity }},
            count(case when quantity = '{{ quantity }}' and is_imputed then 1 end)
                as imputed_{{ quantity }}_count,
            count(case when quantity = '{{ quantity }}' and finding = 'stuck' then 1 end)
                as stuck_{{ quantity }}_count,
            count(case when quantity = '{{ quantity }}' and finding like 'impossible%' then 1 end)
                as impossible_{{ quantity }}_count,
        {%- endfor %}
        cast(
            100.0 * count(case when is_door_open then 1 end) / nullif(count(is_door_open), 0)
            as double
        ) as door_open_pct,
        count(read_at) = 0 as is_imputed,
        cast(hour_at as date) as hour_date,
        hour_at,
        max(_loaded_at) as _loaded_at,
        min(_is_backfill) as _is_backfill
    from values_listed
    group by unit_id, hour_at

),

fct_sensor_readings as (

    select
        hours.*,
        coalesce(dim_unit.unit_key, {{ unknown_key() }}) as unit_key
    from hours
    left join dim_unit on {{ as_of('dim_unit', 'hours.unit_id', at='hours.hour_at') }}

)

select * from fct_sensor_readings
