with unit_labels as (

    select * from {{ ref('label_unit_failure') }}

),

unit_features as (

    select * from {{ ref('int_unit_features') }}

),

sensor_features as (

    select * from {{ ref('sensor_features') }}

),

hours_wanted as (

    select
        unit_id,
        hour_at
    from unit_labels

    union

    select
        unit_id,
        max(hour_at) as hour_at
    from unit_features
    group by unit_id

),

sensor_days as (

    select sensor_features.*
    from sensor_features
    inner join hours_wanted
        on
            sensor_features.unit_id = hours_wanted.unit_id
            and sensor_features.hour_at = hours_wanted.hour_at

),

-- Only what had been known by the time of the row. Compared with the sensor's own days before, any
-- number of quantities of any scale compare.
sensors_compared as (

    select
        sensor_days.unit_id,
        sensor_days.hour_at,
        abs(sensor_days.drift_value) / nullif(
            {{ deviate_in_order('days_before.drift_value', ['days_before.hour_at']) }}, 0
        ) as drift_deviations,
        abs(
            sensor_days.median_value
            - {{ sum_in_order('days_before.median_value', ['days_before.hour_at']) }}
            / count(days_before.median_value)
        ) / nullif(
            {{ deviate_in_order('days_before.median_value', ['days_before.hour_at']) }}, 0
        ) as value_deviations
    from sensor_days
    inner join sensor_days as days_before
        on
            sensor_days.unit_id = days_before.unit_id
            and sensor_days.quantity = days_before.quantity
            and sensor_days.known_at >= days_before.known_at
            and sensor_days.hour_at > days_before.hour_at
            and sensor_days.hour_at <= {{ dbt.dateadd('day', 28, 'days_before.hour_at') }}
    group by
        sensor_days.unit_id,
        sensor_days.quantity,
        sensor_days.hour_at,
        sensor_days.drift_value,
        sensor_days.median_value,
        sensor_days.known_at

),

units_compared as (

    select
        unit_id,
        hour_at,
        max(drift_deviations) as largest_drift_deviations,
        max(value_deviations) as largest_value_deviations
    from sensors_compared
    group by unit_id, hour_at

),

int_unit_days_described as (

    select
        unit_features.unit_id,
        unit_features.site,
        unit_features.model,
        cast(unit_features.sensor_count as integer) as sensor_count,
        {%- for quantity in sensor_quantities() %}
            unit_features.median_{{ quantity }},
            unit_features.{{ quantity.split('_') | first }}_drift_{{
                quantity.split('_')[1:] | join('_') }},
        {%- endfor %}
        unit_features.door_open_pct,
        unit_features.highest_impossible_pct,
        unit_features.longest_unchanged_hours,
        unit_features.hours_since_service,
        unit_features.hours_since_failure,
        units_compared.largest_drift_deviations,
        units_compared.largest_value_deviations,
        unit_features.has_stuck_sensor,
        unit_features.is_known_in_repair,
        unit_features.hour_at,
        unit_features.known_at as as_of
    from hours_wanted
    inner join unit_features
        on
            hours_wanted.unit_id = unit_features.unit_id
            and hours_wanted.hour_at = unit_features.hour_at
    left join units_compared
        on
            hours_wanted.unit_id = units_compared.unit_id
            and hours_wanted.hour_at = units_compared.hour_at

)

select * from int_unit_days_described
