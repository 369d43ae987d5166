with readings_cleaned as (

    select * from {{ ref('int_readings_cleaned') }}

),

dim_unit as (

    select * from {{ ref('dim_unit') }}

),

unit_limits as (

    select * from {{ ref('int_unit_limits') }}

),

sensor_rules as (

    select * from {{ ref('sensor_rules') }}

),

values_beyond_limits as (

    select
        readings_cleaned.unit_id,
        readings_cleaned.quantity,
        case
            when readings_cleaned.cleaned_value > unit_limits.highest_allowed then 'above'
            else 'below'
        end as direction,
        unit_limits.lowest_allowed,
        unit_limits.highest_allowed,
        unit_limits.breach_minutes,
        unit_limits.recovery_minutes,
        readings_cleaned.cleaned_value,
        readings_cleaned.is_door_open,
        readings_cleaned.read_at,
        readings_cleaned.next_read_at
    from readings_cleaned
    inner join unit_limits
        on
            readings_cleaned.unit_id = unit_limits.unit_id
            and readings_cleaned.quantity = unit_limits.quantity
            and readings_cleaned.read_at >= unit_limits.valid_from
            and readings_cleaned.read_at < unit_limits.valid_to
    where
        readings_cleaned.quantity in ('temperature_celsius', 'humidity_pct')
        and (
            readings_cleaned.cleaned_value > unit_limits.highest_allowed
            or readings_cleaned.cleaned_value < unit_limits.lowest_allowed
        )

),

-- No reading between these two shows a recovery: they are as far apart as the unit is read.
-- Where the next one has no value, either cleaning has filled it or the gap is too long.
values_compared as (

    select
        values_beyond_limits.*,
        case
            when
                lag(values_beyond_limits.read_at) over values_of_unit
                + case
                    when
                        lag(values_beyond_limits.next_read_at) over values_of_unit
                        = values_beyond_limits.read_at
                        then
                            coalesce(
                                sensor_rules.longest_gap_minutes,
                                values_beyond_limits.recovery_minutes
                            )
                    else values_beyond_limits.recovery_minutes
                end * interval '1' minute
                >= values_beyond_limits.read_at
                then 0
            else 1
        end as begins
    from values_beyond_limits
    left join sensor_rules on values_beyond_limits.quantity = sensor_rules.quantity
    window
        values_of_unit as (
            partition by
                values_beyond_limits.unit_id,
                values_beyond_limits.quantity,
                values_beyond_limits.direction
            order by values_beyond_limits.read_at
        )

),

breaches_numbered as (

    select
        *,
        sum(begins) over (
            partition by unit_id, quantity, direction
            order by read_at
            rows between unbounded preceding and current row
        ) as breach_number,
        {{ convert_to_kelvin('cleaned_value') }} as kelvin
    from values_compared

),

breaches_bounded as (

    select
        unit_id,
        quantity,
        direction,
        min(lowest_allowed) as lowest_allowed,
        max(highest_allowed) as highest_allowed,
        max(breach_minutes) as breach_minutes,
        count(*) as reading_count,
        case when direction = 'above' then max(cleaned_value) else min(cleaned_value) end
            as peak_value,
        round(avg(cleaned_value), 4) as mean_value,
        case
            when quantity = 'temperature_celsius'
                then round({{ mean_kinetic_celsius('kelvin') }}, 4)
        end as mean_kinetic_celsius,
        100.0 * count(case when is_door_open then 1 end) / nullif(count(is_door_open), 0)
            as door_open_pct,
        min(read_at) as started_at,
        max(read_at) as ended_at
    from breaches_numbered
    group by unit_id, quantity, direction, breach_number

),

breaches_timed as (

    select
        *,
        ({{ convert_to_epoch_us('ended_at') }} - {{ convert_to_epoch_us('started_at') }})
        / 60000000.0 as duration_minutes
    from breaches_bounded

),

cold_chain_breaches as (

    select
        breaches_timed.unit_id,
        dim_unit.site,
        dim_unit.model,
        breaches_timed.quantity,
        breaches_timed.direction,
        breaches_timed.lowest_allowed,
        breaches_timed.highest_allowed,
        breaches_timed.reading_count,
        breaches_timed.peak_value,
        breaches_timed.mean_value,
        breaches_timed.mean_kinetic_celsius,
        cast(breaches_timed.duration_minutes as double) as duration_minutes,
        cast(breaches_timed.door_open_pct as double) as door_open_pct,
        breaches_timed.door_open_pct >= 50 as is_door_left_open,
        breaches_timed.started_at,
        breaches_timed.ended_at
    from breaches_timed
    left join dim_unit
        on {{ as_of('dim_unit', 'breaches_timed.unit_id', at='breaches_timed.started_at') }}
    where breaches_timed.duration_minutes >= breaches_timed.breach_minutes

)

select * from cold_chain_breaches
