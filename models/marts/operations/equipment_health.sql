with sensor_readings as (

    select * from {{ ref('fct_sensor_readings') }}

),

readings_cleaned as (

    select * from {{ ref('int_readings_cleaned') }}

),

dim_unit as (

    select * from {{ ref('dim_unit') }}

),

unit_limits as (

    select * from {{ ref('int_unit_limits') }}

),

maintenance as (

    select * from {{ ref('stg_equipment__maintenance') }}

),

failures as (

    select * from {{ ref('int_failures_bounded') }}

),

hours_judged as (

    select
        readings_cleaned.unit_id,
        60.0 * count(
            case
                when
                    readings_cleaned.cleaned_value < unit_limits.lowest_allowed
                    or readings_cleaned.cleaned_value > unit_limits.highest_allowed
                    then 1
            end
        ) / nullif(count(readings_cleaned.cleaned_value), 0) as out_of_range_minutes,
        date_trunc('hour', readings_cleaned.read_at) as hour_at
    from readings_cleaned
    inner join unit_limits
        on
            readings_cleaned.unit_id = unit_limits.unit_id
            and readings_cleaned.quantity = unit_limits.quantity
            and readings_cleaned.read_at >= unit_limits.valid_from
            and readings_cleaned.read_at < unit_limits.valid_to
    where readings_cleaned.quantity = 'temperature_celsius'
    group by readings_cleaned.unit_id, date_trunc('hour', readings_cleaned.read_at)

),

-- The 24 hours up to this one, and the 24 that ended 72 hours ago.
days_averaged as (

    select
        *,
        avg(mean_temperature_celsius) over day_to_now as day_mean_celsius,
        avg(mean_temperature_celsius) over day_before as earlier_day_mean_celsius,
        avg(mean_vibration_mm_s) over day_to_now as day_mean_vibration_mm_s,
        avg(mean_vibration_mm_s) over day_before as earlier_day_mean_vibration_mm_s,
        max(_loaded_at) over days_to_now as days_loaded_at,
        min(_is_backfill) over days_to_now as is_days_backfill
    from sensor_readings
    window
        day_to_now as (
            partition by unit_id order by hour_at
            range between interval '23' hour preceding and current row
        ),
        day_before as (
            partition by unit_id order by hour_at
            range between interval '95' hour preceding and interval '72' hour preceding
        ),
        days_to_now as (
            partition by unit_id order by hour_at
            range between interval '95' hour preceding and current row
        )

),

services as (

    select
        unit_id,
        ended_at,
        lead(ended_at, 1, {{ end_of_time() }}) over (
            partition by unit_id
            order by ended_at
        ) as next_ended_at,
        max(_loaded_at) as _loaded_at,
        min(_is_backfill) as _is_backfill
    from maintenance
    where maintenance_kind = 'service' and ended_at is not null
    group by unit_id, ended_at

),

equipment_health as (

    select
        days_averaged.unit_id,
        dim_unit.site,
        dim_unit.model,
        days_averaged.reading_count,
        days_averaged.mean_temperature_celsius,
        days_averaged.min_temperature_celsius,
        days_averaged.max_temperature_celsius,
        days_averaged.mean_humidity_pct,
        days_averaged.mean_vibration_mm_s,
        days_averaged.mean_power_watts,
        round(days_averaged.day_mean_celsius - days_averaged.earlier_day_mean_celsius, 4)
            as temperature_drift_celsius,
        round(
            days_averaged.day_mean_vibration_mm_s - days_averaged.earlier_day_mean_vibration_mm_s, 4
        ) as vibration_drift_mm_s,
        case
            when days_averaged.is_imputed then 100.0
            else
                cast(
                    100.0 * days_averaged.imputed_temperature_celsius_count
                    / days_averaged.reading_count as double
                )
        end as imputed_pct,
        days_averaged.door_open_pct,
        cast(hours_judged.out_of_range_minutes as double) as out_of_range_minutes,
        {{ hours_between('services.ended_at', 'days_averaged.hour_at') }}
            as hours_since_service,
        {{ hours_between('last_failures.started_at', 'days_averaged.hour_at') }}
            as hours_since_failure,
        {{ hours_between('days_averaged.hour_at', 'next_failures.started_at') }}
            as hours_to_next_failure,
        days_averaged.is_imputed,
        days_averaged.stuck_temperature_celsius_count > 0
        or days_averaged.stuck_humidity_pct_count > 0
        or days_averaged.stuck_vibration_mm_s_count > 0
        or days_averaged.stuck_power_watts_count > 0 as has_stuck_sensor,
        coalesce(days_averaged.hour_at < last_failures.in_repair_until, false) as is_in_repair,
        days_averaged.hour_at,
        greatest(
            days_averaged.days_loaded_at,
            coalesce(services._loaded_at, {{ beginning_of_time() }}),
            coalesce(last_failures._loaded_at, {{ beginning_of_time() }})
        ) as _loaded_at,
        days_averaged.is_days_backfill
        and coalesce(services._is_backfill, true)
        and coalesce(last_failures._is_backfill, true) as _is_backfill
    from days_averaged
    inner join dim_unit on days_averaged.unit_key = dim_unit.unit_key
    left join hours_judged
        on
            days_averaged.unit_id = hours_judged.unit_id
            and days_averaged.hour_at = hours_judged.hour_at
    left join services
        on
            days_averaged.unit_id = services.unit_id
            and days_averaged.hour_at >= services.ended_at
            and days_averaged.hour_at < services.next_ended_at
    left join failures as last_failures
        on
            days_averaged.unit_id = last_failures.unit_id
            and days_averaged.hour_at >= last_failures.started_at
            and days_averaged.hour_at < last_failures.next_started_at
    left join failures as next_failures
        on
            days_averaged.unit_id = next_failures.unit_id
            and days_averaged.hour_at >= next_failures.previous_started_at
            and days_averaged.hour_at < next_failures.started_at

)

select * from equipment_health
