-- Imported three times, since DuckDB copies a CTE into memory if it is read more than once.
with readings_cleaned as (

    select * from {{ ref('int_readings_cleaned') }}

),

readings_to_follow as (

    select * from {{ ref('int_readings_cleaned') }}

),

dim_unit as (

    select * from {{ ref('dim_unit') }}

),

readings_followed as (

    select
        unit_id,
        quantity,
        cleaned_value,
        longest_gap_minutes,
        read_at,
        lead(cleaned_value) over values_of_sensor as next_value,
        lead(read_at) over values_of_sensor as next_read_at,
        lead(_loaded_at) over values_of_sensor as _loaded_at,
        lead(_is_backfill) over values_of_sensor as _is_backfill
    from readings_to_follow
    window values_of_sensor as (partition by unit_id, quantity order by read_at)

),

-- Whole hours without a reading, in gaps that the sensor's rule fills.
gaps_found as (

    select
        *,
        {{ list_hours(
            dbt.dateadd('hour', 1, "date_trunc('hour', read_at)"),
            dbt.dateadd('hour', -1, "date_trunc('hour', next_read_at)")
        ) }} as hour_at
    from readings_followed
    where
        next_read_at <= read_at + longest_gap_minutes * interval '1' minute
        and date_trunc('hour', next_read_at)
        > {{ dbt.dateadd('hour', 1, "date_trunc('hour', read_at)") }}

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
    from gaps_found

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
        quantity,
        count(read_at) as reading_count,
        round(avg(cleaned_value), 4) as mean_value,
        min(cleaned_value) as min_value,
        max(cleaned_value) as max_value,
        round(avg(case when {{ is_finite('sensor_value') }} then sensor_value end), 4)
            as raw_mean_value,
        count(case when is_imputed then 1 end) as imputed_count,
        count(case when finding = 'stuck' then 1 end) as stuck_count,
        count(case when finding like 'impossible%' then 1 end) as impossible_count,
        cast(
            100.0 * count(case when is_door_open then 1 end) / nullif(count(is_door_open), 0)
            as double
        ) as door_open_pct,
        count(read_at) = 0 as is_imputed,
        {{ business_date('hour_at') }} as hour_date,
        hour_at,
        max(_loaded_at) as _loaded_at,
        min(_is_backfill) as _is_backfill
    from values_listed
    group by unit_id, quantity, hour_at

),

fct_sensor_readings as (

    select
        hours.*,
        coalesce(dim_unit.unit_key, {{ unknown_key() }}) as unit_key
    from hours
    left join dim_unit on {{ as_of('dim_unit', 'hours.unit_id', at='hours.hour_at') }}

)

select * from fct_sensor_readings
