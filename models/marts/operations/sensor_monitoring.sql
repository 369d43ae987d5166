with readings_cleaned as (

    select * from {{ ref('int_readings_cleaned') }}

),

unit_limits as (

    select * from {{ ref('int_unit_limits') }}

),

dim_unit as (

    select * from {{ ref('dim_unit') }}

),

last_days as (

    select
        unit_id,
        quantity,
        max(read_at) - {{ var('sensor_review_days') }} * interval '1' day as first_read_at
    from readings_cleaned
    where sensor_value is not null
    group by unit_id, quantity

),

values_reviewed as (

    select
        readings_cleaned.unit_id,
        readings_cleaned.quantity,
        readings_cleaned.finding,
        readings_cleaned.read_at,
        {{ convert_to_epoch_us('readings_cleaned.read_at') }}
        - lag({{ convert_to_epoch_us('readings_cleaned.read_at') }}) over (
            partition by readings_cleaned.unit_id, readings_cleaned.quantity
            order by readings_cleaned.read_at
        ) as interval_us
    from readings_cleaned
    inner join last_days
        on
            readings_cleaned.unit_id = last_days.unit_id
            and readings_cleaned.quantity = last_days.quantity
            and readings_cleaned.read_at >= last_days.first_read_at
    where readings_cleaned.sensor_value is not null

),

sensors_reviewed as (

    select
        unit_id,
        quantity,
        count(*) as reading_count,
        count(finding) as disbelieved_count,
        median(interval_us) / 60000000 as cadence_minutes,
        max(read_at) as last_read_at
    from values_reviewed
    group by unit_id, quantity

),

current_units as (

    select
        unit_id,
        site,
        model,
        is_deleted
    from dim_unit
    where is_current and unit_id is not null

),

-- The open end of time belongs to the present version.
current_limits as (

    select
        unit_id,
        quantity,
        breach_minutes
    from unit_limits
    where valid_to = {{ end_of_time() }}

),

sensors_expected as (

    select
        unit_id,
        quantity
    from sensors_reviewed

    union

    select
        current_limits.unit_id,
        current_limits.quantity
    from current_limits
    left join current_units on current_limits.unit_id = current_units.unit_id
    where not coalesce(current_units.is_deleted, false)

),

sensor_monitoring as (

    select
        sensors_expected.unit_id,
        current_units.site,
        current_units.model,
        sensors_expected.quantity,
        case
            when sensors_reviewed.unit_id is null then 'no readings'
            when current_limits.unit_id is null then 'no limits'
            when
                sensors_reviewed.cadence_minutes
                <= current_limits.breach_minutes * (1 + {{ var('cadence_tolerance') }})
                then 'watched'
            else 'cadence too slow'
        end as monitoring_state,
        coalesce(sensors_reviewed.reading_count, 0) as reading_count,
        current_limits.breach_minutes,
        cast(round(sensors_reviewed.cadence_minutes, 2) as double) as cadence_minutes,
        cast(
            100.0 * sensors_reviewed.disbelieved_count / sensors_reviewed.reading_count as double
        ) as disbelieved_pct,
        sensors_reviewed.last_read_at
    from sensors_expected
    left join sensors_reviewed
        on
            sensors_expected.unit_id = sensors_reviewed.unit_id
            and sensors_expected.quantity = sensors_reviewed.quantity
    left join current_limits
        on
            sensors_expected.unit_id = current_limits.unit_id
            and sensors_expected.quantity = current_limits.quantity
    left join current_units on sensors_expected.unit_id = current_units.unit_id

)

select * from sensor_monitoring
