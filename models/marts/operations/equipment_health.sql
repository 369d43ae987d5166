with unit_features as (

    select * from {{ ref('int_unit_features') }}

),

maintenance as (

    select * from {{ ref('stg_equipment__maintenance') }}

),

failures as (

    select * from {{ ref('int_failures_bounded') }}

),

last_hours as (

    select max(hour_at) as last_hour_at
    from unit_features

),

last_jobs as (

    select
        max(greatest(started_at, ended_at)) as last_job_at,
        max(greatest(started_at, ended_at, _loaded_at)) as jobs_known_until
    from maintenance

),

-- A lack of jobs counts as evidence only until the last job happened or was entered, and no longer
-- than there is data at all.
jobs_until as (

    select
        case
            when last_jobs.jobs_known_until is not null
                then
                    least(
                        last_jobs.jobs_known_until,
                        greatest(last_hours.last_hour_at, last_jobs.last_job_at)
                    )
        end as known_until
    from last_jobs
    cross join last_hours

),

hours_labelled as (

    select
        unit_features.*,
        coalesce(unit_features.hour_at < last_failures.in_repair_until, false) as is_in_repair,
        {{ hours_between('unit_features.hour_at', 'next_failures.started_at') }}
            as hours_to_next_failure,
        case
            when next_failures._is_backfill then next_failures.started_at
            else greatest(next_failures.started_at, next_failures._loaded_at)
        end as failure_known_at,
        unit_features.hour_at
        + {{ var('failure_horizon_hours') }} * interval '1' hour
        + {{ var('failure_label_delay_days') }} * interval '1' day as matures_at,
        jobs_until.known_until
    from unit_features
    cross join jobs_until
    left join failures as last_failures
        on
            unit_features.unit_id = last_failures.unit_id
            and unit_features.hour_at >= last_failures.started_at
            and unit_features.hour_at < last_failures.next_started_at
    left join failures as next_failures
        on
            unit_features.unit_id = next_failures.unit_id
            and unit_features.hour_at >= next_failures.previous_started_at
            and unit_features.hour_at < next_failures.started_at

),

hours_stated as (

    select
        *,
        case
            when is_in_repair then 'in repair'
            when hours_to_next_failure <= {{ var('failure_horizon_hours') }} then 'fails'
            when matures_at <= known_until then 'healthy'
            else 'too recent'
        end as label_state
    from hours_labelled

),

equipment_health as (

    select
        unit_id,
        site,
        model,
        label_state,
        reading_count,
        sensor_count,
        {%- for quantity in sensor_quantities() %}
            median_{{ quantity }},
            min_{{ quantity }},
            max_{{ quantity }},
            {{ quantity.split('_') | first }}_drift_{{ quantity.split('_')[1:] | join('_') }},
        {%- endfor %}
        door_open_pct,
        highest_impossible_pct,
        longest_unchanged_hours,
        hours_since_service,
        hours_since_failure,
        hours_to_next_failure,
        has_stuck_sensor,
        is_known_in_repair,
        is_in_repair,
        case label_state when 'fails' then true when 'healthy' then false end as is_failing_soon,
        hour_at,
        known_at,
        case label_state
            when 'fails' then failure_known_at
            when 'healthy' then matures_at
        end as label_known_at
    from hours_stated

)

select * from equipment_health
