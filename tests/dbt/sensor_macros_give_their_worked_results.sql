with unit_readings as (

    select
        'U1' as unit_id,
        timestamp '2026-03-01 23:50:00' as read_at

),

results as (

    select
        'extract_first_path' as macro_name,
        cast(
            {{ extract_first_path("'{\"data\": {\"co2\": 410}}'", ['$.co2', '$.data.co2'], 'integer') }}
            as varchar
        ) as result,
        '410' as worked_result

    union all

    select
        'name_unit_day' as macro_name,
        {{ name_unit_day(1) }} as result,
        'U1 2026-03-02' as worked_result
    from unit_readings

    union all

    select
        'smooth_by_median' as macro_name,
        max(case when smoothed.at_us = 3 then cast(smoothed.result as varchar) end) as result,
        '5.0' as worked_result
    from (
        select
            readings.at_us,
            {{ smooth_by_median(
                'readings.sensor_value', 'readings.at_us', '10', over='by_time'
            ) }} as result
        from (
            values (1, 4.0), (2, 5.0), (3, 40.0), (4, 5.0), (5, 6.0)
        ) as readings (at_us, sensor_value)
        window by_time as (order by readings.at_us)
    ) as smoothed

    union all

    select
        'convert_to_kelvin' as macro_name,
        cast({{ convert_to_kelvin('4.85') }} as varchar) as result,
        '278.00' as worked_result

    union all

    select
        'mean_kinetic_celsius' as macro_name,
        cast(
            cast({{ mean_kinetic_celsius('readings.kelvin') }} as decimal(5, 2)) as varchar
        ) as result,
        '19.70' as worked_result
    from (values (278.15), (298.15)) as readings (kelvin)

    union all

    select
        'hours_between' as macro_name,
        cast({{ hours_between(
            "timestamp '2026-03-01 00:00:00'", "timestamp '2026-03-01 01:30:00'"
        ) }} as varchar) as result,
        '1.5' as worked_result

)

select
    macro_name,
    result,
    worked_result
from results
where result is distinct from worked_result
