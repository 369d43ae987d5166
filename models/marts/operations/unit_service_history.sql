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

jobs_timed as (

    select
        unit_id,
        maintenance_kind,
        {{ hours_between('started_at', 'ended_at') }} as hours_taken,
        {{ hours_between(
            'lag(started_at) over (partition by unit_id, maintenance_kind order by started_at)',
            'started_at',
        ) }} as hours_since_last,
        started_at,
        ended_at
    from maintenance

),

jobs_counted as (

    select
        unit_id,
        count(case when maintenance_kind = 'failure' then 1 end) as failure_count,
        count(case when maintenance_kind = 'service' then 1 end) as service_count,
        round(avg(case when maintenance_kind = 'failure' then hours_since_last end), 4)
            as mean_hours_between_failures,
        round(avg(case when maintenance_kind = 'failure' then hours_taken end), 4)
            as mean_hours_to_repair,
        max(case when maintenance_kind = 'failure' then started_at end) as last_failed_at,
        max(case when maintenance_kind = 'service' then ended_at end) as last_serviced_at
    from jobs_timed
    group by unit_id

),

repairs_bounded as (

    select
        unit_id,
        max(in_repair_until) as in_repair_until
    from failures
    group by unit_id

),

hours_counted as (

    select
        unit_id,
        count(case when reading_count > 0 then 1 end) as hours_read,
        max(hour_at) as last_hour_at
    from sensor_readings
    group by unit_id

),

breaches_counted as (

    select
        unit_id,
        count(*) as breach_count,
        round(sum(duration_minutes) / 60, 4) as breach_hours
    from cold_chain_breaches
    group by unit_id

),

unit_service_history as (

    select
        dim_unit.unit_id,
        dim_unit.site,
        dim_unit.model,
        coalesce(jobs_counted.failure_count, 0) as failure_count,
        coalesce(jobs_counted.service_count, 0) as service_count,
        coalesce(breaches_counted.breach_count, 0) as breach_count,
        coalesce(breaches_counted.breach_hours, 0) as breach_hours,
        coalesce(hours_counted.hours_read, 0) as hours_read,
        jobs_counted.mean_hours_between_failures,
        jobs_counted.mean_hours_to_repair,
        coalesce(repairs_bounded.in_repair_until = {{ end_of_time() }}, false) as is_in_repair,
        dim_unit.installed_at,
        jobs_counted.last_failed_at,
        jobs_counted.last_serviced_at,
        hours_counted.last_hour_at
    from dim_unit
    left join jobs_counted on dim_unit.unit_id = jobs_counted.unit_id
    left join repairs_bounded on dim_unit.unit_id = repairs_bounded.unit_id
    left join hours_counted on dim_unit.unit_id = hours_counted.unit_id
    left join breaches_counted on dim_unit.unit_id = breaches_counted.unit_id
    where dim_unit.is_current and not dim_unit.is_deleted and dim_unit.unit_id is not null

)

select * from unit_service_history
