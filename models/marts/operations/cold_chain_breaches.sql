with values_beyond_limits as (

    select * from {{ ref('int_values_beyond_limits') }}

),

dim_unit as (

    select * from {{ ref('dim_unit') }}

),

-- A value counts for half of the time since the one before it and until the one after it.
values_weighed as (

    select
        *,
        {{ convert_to_kelvin('possible_value') }} as kelvin,
        row_number() over values_of_breach = 1 as is_first,
        lead(at_us) over values_of_breach is null as is_last,
        at_us - lag(at_us) over values_of_breach as interval_us,
        greatest(
            1,
            coalesce(at_us - lag(at_us) over values_of_breach, 0)
            + coalesce(lead(at_us) over values_of_breach - at_us, 0)
        ) as weight
    from values_beyond_limits
    window
        values_of_breach as (
            partition by unit_id, quantity, direction, breach_number order by at_us
        )

),

breaches_bounded as (

    select
        unit_id,
        quantity,
        direction,
        min(lowest_allowed) as lowest_allowed,
        max(highest_allowed) as highest_allowed,
        min(breach_minutes) as breach_minutes,
        count(*) as reading_count,
        case when direction = 'above' then max(possible_value) else min(possible_value) end
            as peak_value,
        round(sum(possible_value * weight) / sum(weight), 4) as mean_value,
        case
            when quantity = 'temperature_celsius'
                then round({{ mean_kinetic_celsius('kelvin', weight='weight') }}, 4)
        end as mean_kinetic_celsius,
        100.0 * count(case when is_door_open then 1 end) / nullif(count(is_door_open), 0)
            as door_open_pct,
        round(max(cadence_minutes), 2) as cadence_minutes,
        max(interval_us) / 60000000.0 as longest_interval_minutes,
        (max(at_us) - min(at_us)) / 60000000.0 as duration_minutes,
        (
            max(case when is_last then next_at_us end) - min(case when is_first then last_at_us end)
        ) / 60000000.0 as longest_possible_minutes,
        min(read_at) as started_at,
        max(read_at) as ended_at
    from values_weighed
    group by unit_id, quantity, direction, breach_number

),

breaches_judged as (

    select
        *,
        case
            when
                duration_minutes
                >= breach_minutes
                - least(cadence_minutes, breach_minutes) * {{ var('cadence_tolerance') }}
                then 'breach'
            when
                coalesce(
                    cadence_minutes > breach_minutes * (1 + {{ var('cadence_tolerance') }}), true
                )
                then 'cadence too slow'
        end as breach_state
    from breaches_bounded

),

cold_chain_breaches as (

    select
        breaches_judged.unit_id,
        dim_unit.site,
        dim_unit.model,
        breaches_judged.quantity,
        breaches_judged.direction,
        breaches_judged.breach_state,
        breaches_judged.lowest_allowed,
        breaches_judged.highest_allowed,
        breaches_judged.breach_minutes,
        breaches_judged.reading_count,
        breaches_judged.peak_value,
        breaches_judged.mean_value,
        breaches_judged.mean_kinetic_celsius,
        breaches_judged.cadence_minutes,
        cast(breaches_judged.longest_interval_minutes as double) as longest_interval_minutes,
        cast(breaches_judged.duration_minutes as double) as duration_minutes,
        cast(breaches_judged.longest_possible_minutes as double) as longest_possible_minutes,
        cast(breaches_judged.door_open_pct as double) as door_open_pct,
        breaches_judged.door_open_pct >= 50 as is_door_left_open,
        breaches_judged.started_at,
        breaches_judged.ended_at
    from breaches_judged
    left join dim_unit
        on {{ as_of('dim_unit', 'breaches_judged.unit_id', at='breaches_judged.started_at') }}
    where breaches_judged.breach_state is not null

)

select * from cold_chain_breaches
