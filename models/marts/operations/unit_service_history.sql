with dim_unit as (

    select * from {{ ref('dim_unit') }}

),

maintenance as (

    select * from {{ ref('stg_equipment__maintenance') }}

),

failures as (

    select * from {{ ref('int_failures_bounded') }}

),

sensor_readings as (

    select * from {{ ref('fct_sensor_readings') }}

),

cold_chain_breaches as (

    select * from {{ ref('cold_chain_breaches') }}

),

services_counted as (

    select
        unit_id,
        count(*) as service_count,
        max(ended_at) as last_serviced_at,
        max(_loaded_at) as _loaded_at
    from maintenance
    where maintenance_kind = 'service'
    group by unit_id

),

-- Only failures that staff closed have a known end.
failures_timed as (

    select
        *,
        case when is_closed then {{ hours_between('started_at', 'in_repair_until') }} end
            as hours_to_repair,
        case
            when next_started_at < {{ end_of_time() }}
                then {{ hours_between('started_at', 'next_started_at') }}
        end as hours_to_next
    from failures

),

failures_counted as (

    select
        unit_id,
        count(*) as failure_count,
        round(avg(hours_to_next), 4) as mean_hours_between_failures,
        round(avg(hours_to_repair), 4) as mean_hours_to_repair,
        max(started_at) as last_failed_at,
        max(in_repair_until) as in_repair_until,
        max(_loaded_at) as _loaded_at
    from failures_timed
    group by unit_id

),

hours_counted as (

    select
        unit_id,
        count(distinct case when reading_count > 0 then hour_at end) as hours_read,
        max(hour_at) as last_hour_at,
        max(_loaded_at) as _loaded_at
    from sensor_readings
    group by unit_id

),

breaches_counted as (

    select
        unit_id,
        count(*) as breach_count,
        round(sum(duration_minutes) / 60, 4) as breach_hours
    from cold_chain_breaches
    where breach_state = 'breach'
    group by unit_id

),

-- A unit is there if it is registered, was read or has a job.
units as (

    select
        unit_id,
        site,
        model,
        is_deleted,
        installed_at
    from dim_unit
    where is_current and unit_id is not null

),

units_named as (

    select unit_id from units
    where not is_deleted

    union

    select unit_id from hours_counted
    where unit_id not in (select units.unit_id from units)

    union

    select unit_id from maintenance
    where unit_id is not null and unit_id not in (select units.unit_id from units)

),

unit_service_history as (

    select
        units_named.unit_id,
        units.site,
        units.model,
        coalesce(failures_counted.failure_count, 0) as failure_count,
        coalesce(services_counted.service_count, 0) as service_count,
        coalesce(breaches_counted.breach_count, 0) as breach_count,
        coalesce(breaches_counted.breach_hours, 0) as breach_hours,
        coalesce(hours_counted.hours_read, 0) as hours_read,
        failures_counted.mean_hours_between_failures,
        failures_counted.mean_hours_to_repair,
        units.unit_id is not null as is_registered,
        coalesce(failures_counted.in_repair_until = {{ end_of_time() }}, false) as is_in_repair,
        units.installed_at,
        failures_counted.last_failed_at,
        services_counted.last_serviced_at,
        hours_counted.last_hour_at,
        greatest(
            failures_counted._loaded_at, services_counted._loaded_at, hours_counted._loaded_at
        ) as _loaded_at
    from units_named
    left join units on units_named.unit_id = units.unit_id
    left join failures_counted on units_named.unit_id = failures_counted.unit_id
    left join services_counted on units_named.unit_id = services_counted.unit_id
    left join hours_counted on units_named.unit_id = hours_counted.unit_id
    left join breaches_counted on units_named.unit_id = breaches_counted.unit_id

)

select * from unit_service_history
