with readings_cleaned as (

    select * from {{ ref('int_readings_cleaned') }}

),

-- A row applies to a full hour and holds the hour before it. Its features are taken a little later.
values_known as (

    select
        unit_id,
        quantity,
        sensor_value,
        possible_value,
        stuck_minutes,
        is_door_open,
        {{ dbt.dateadd('hour', 1, "date_trunc('hour', read_at)") }} as hour_at,
        greatest(
            known_at,
            {{ dbt.dateadd('hour', 1, "date_trunc('hour', read_at)") }}
            + {{ var('feature_delay_minutes') }} * interval '1' minute
        ) as known_at
    from readings_cleaned
    where sensor_value is not null

),

-- Values of an hour that arrived together. The median of a few values leaves out one spike.
parts_summed as (

    select
        unit_id,
        quantity,
        hour_at,
        known_at,
        count(*) as reading_count,
        count(possible_value) as value_count,
        round(median(possible_value), 6) as median_value,
        min(possible_value) as min_value,
        max(possible_value) as max_value,
        max(stuck_minutes) as stuck_minutes,
        count(case when is_door_open then 1 end) as open_count,
        count(is_door_open) as door_count
    from values_known
    group by unit_id, quantity, hour_at, known_at

),

-- A row is taken once, when the first values of its hour are known.
parts_timed as (

    select
        *,
        min(known_at) over (partition by unit_id, quantity, hour_at) as row_known_at
    from parts_summed

),

-- Exact decimals: sums of doubles depend on their order, and no later load may change a last digit.
int_sensor_hours_known as (

    select
        unit_id,
        quantity,
        reading_count,
        value_count,
        median_value,
        case
            when abs(median_value) < 1e20
                then cast(median_value as decimal(38, 6)) * value_count
        end as value_sum,
        case when abs(median_value) < 1e20 then value_count end as summed_count,
        min_value,
        max_value,
        cast(stuck_minutes / 60.0 as double) as stuck_hours,
        cast(100.0 * (reading_count - value_count) / reading_count as double) as impossible_pct,
        cast(100.0 * open_count / nullif(door_count, 0) as double) as door_open_pct,
        known_at = row_known_at as is_row,
        min(row_known_at) over (
            partition by unit_id, quantity order by hour_at
            range between current row and interval '95' hour following
        ) >= known_at as is_in_order,
        hour_at,
        known_at
    from parts_timed

)

select * from int_sensor_hours_known
