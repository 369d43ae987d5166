with sensor_features as (

    select * from {{ ref('sensor_features') }}

),

unit_history as (

    select * from {{ ref('stg_equipment__unit_history') }}

),

maintenance_states as (

    select * from {{ ref('int_maintenance_states') }}

),

-- A row is taken when the first sensor of its unit is known. Other sensors count if they are too.
sensors_timed as (

    select
        *,
        min(known_at) over (partition by unit_id, hour_at) as row_known_at
    from sensor_features

),

sensors_compared as (

    select
        *,
        min(unchanged_hours) over (partition by unit_id, hour_at) as least_unchanged_hours
    from sensors_timed
    where known_at = row_known_at

),

hours_summed as (

    select
        unit_id,
        max(reading_count) as reading_count,
        count(*) as sensor_count,
        {%- for quantity in sensor_quantities() %}
            max(case when quantity = '{{ quantity }}' then median_value end)
                as median_{{ quantity }},
            max(case when quantity = '{{ quantity }}' then min_value end) as min_{{ quantity }},
            max(case when quantity = '{{ quantity }}' then max_value end) as max_{{ quantity }},
            max(case when quantity = '{{ quantity }}' then drift_value end)
                as {{ quantity.split('_') | first }}_drift_{{
                    quantity.split('_')[1:] | join('_') }},
        {%- endfor %}
        max(door_open_pct) as door_open_pct,
        max(impossible_pct) as highest_impossible_pct,
        max(unchanged_hours) as longest_unchanged_hours,
        coalesce(
            bool_or(
                unchanged_hours >= stuck_hours and least_unchanged_hours < unchanged_hours
            ),
            false
        ) as has_stuck_sensor,
        hour_at,
        known_at
    from sensors_compared
    group by unit_id, hour_at, known_at

),

-- Only what had been entered by the time of the row, and had happened by its hour.
jobs_known as (

    select
        hours_summed.unit_id,
        hours_summed.hour_at,
        max(
            case
                when maintenance_states.maintenance_kind = 'failure'
                    then maintenance_states.started_at
            end
        ) as last_failed_at,
        max(
            case
                when
                    maintenance_states.maintenance_kind = 'failure'
                    and maintenance_states.ended_at is null
                    then maintenance_states.started_at
            end
        ) as last_open_at,
        max(
            case
                when maintenance_states.maintenance_kind = 'failure'
                    then maintenance_states.ended_at
            end
        ) as repaired_at,
        max(
            case
                when
                    maintenance_states.maintenance_kind = 'service'
                    and maintenance_states.ended_at <= hours_summed.hour_at
                    then maintenance_states.ended_at
            end
        ) as last_serviced_at
    from hours_summed
    inner join maintenance_states
        on
            hours_summed.unit_id = maintenance_states.unit_id
            and hours_summed.hour_at >= maintenance_states.started_at
            and hours_summed.known_at >= maintenance_states.valid_from
            and hours_summed.known_at < maintenance_states.valid_to
    group by hours_summed.unit_id, hours_summed.hour_at

),

-- The site and model that had been entered by then.
units_known as (

    select
        hours_summed.unit_id,
        hours_summed.hour_at,
        max(unit_history.change_number) as change_number
    from hours_summed
    inner join unit_history
        on
            hours_summed.unit_id = unit_history.unit_id
            and hours_summed.hour_at
            >= coalesce(unit_history.changed_at, {{ beginning_of_time() }})
            and (unit_history._is_backfill or hours_summed.known_at >= unit_history._loaded_at)
    group by hours_summed.unit_id, hours_summed.hour_at

),

int_unit_features as (

    select
        hours_summed.*,
        unit_history.site,
        unit_history.model,
        {{ hours_between('jobs_known.last_serviced_at', 'hours_summed.hour_at') }}
            as hours_since_service,
        {{ hours_between('jobs_known.last_failed_at', 'hours_summed.hour_at') }}
            as hours_since_failure,
        coalesce(
            jobs_known.repaired_at > hours_summed.hour_at
            or jobs_known.last_open_at = jobs_known.last_failed_at,
            false
        ) as is_known_in_repair
    from hours_summed
    left join units_known
        on
            hours_summed.unit_id = units_known.unit_id
            and hours_summed.hour_at = units_known.hour_at
    left join unit_history
        on
            units_known.unit_id = unit_history.unit_id
            and units_known.change_number = unit_history.change_number
    left join jobs_known
        on
            hours_summed.unit_id = jobs_known.unit_id
            and hours_summed.hour_at = jobs_known.hour_at

)

select * from int_unit_features
