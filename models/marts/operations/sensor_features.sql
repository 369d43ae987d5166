with parts as (

    select * from {{ ref('int_sensor_hours_known') }}

),

rows_taken as (

    select * from parts
    where is_row

),

-- The 24 hours up to the row, and the 24 that ended 72 hours before. Weighted with the number of
-- values, so that parts of an hour add up.
days_summed as (

    select
        *,
        sum(case when is_in_order then value_sum end) over day_to_now as day_sum,
        sum(case when is_in_order then summed_count end) over day_to_now as day_count,
        sum(case when is_in_order then value_sum end) over day_before as earlier_sum,
        sum(case when is_in_order then summed_count end) over day_before as earlier_count
    from rows_taken
    window
        day_to_now as (
            partition by unit_id, quantity order by hour_at
            range between interval '23' hour preceding and current row
        ),
        day_before as (
            partition by unit_id, quantity order by hour_at
            range between interval '95' hour preceding and interval '72' hour preceding
        )

),

-- Values that arrived after later ones of the sensor. They count from then on, for four days at
-- most: a join by day is cheap.
parts_late as (

    select
        parts.*,
        {{ add_days('cast(parts.hour_at as date)', 'later_days.days_later') }} as joined_day
    from parts
    cross join (values (0), (1), (2), (3), (4)) as later_days (days_later)
    where not parts.is_in_order

),

late_matched as (

    select
        rows_taken.unit_id,
        rows_taken.quantity,
        rows_taken.hour_at,
        parts_late.value_sum,
        parts_late.summed_count,
        {{ hours_between('parts_late.hour_at', 'rows_taken.hour_at') }} as hours_later
    from parts_late
    inner join rows_taken
        on
            parts_late.unit_id = rows_taken.unit_id
            and parts_late.quantity = rows_taken.quantity
            and parts_late.joined_day = cast(rows_taken.hour_at as date)
            and parts_late.known_at <= rows_taken.known_at

),

late_summed as (

    select
        unit_id,
        quantity,
        hour_at,
        sum(case when hours_later < 24 then value_sum end) as day_sum,
        sum(case when hours_later < 24 then summed_count end) as day_count,
        sum(case when hours_later >= 72 then value_sum end) as earlier_sum,
        sum(case when hours_later >= 72 then summed_count end) as earlier_count
    from late_matched
    where hours_later between 0 and 95
    group by unit_id, quantity, hour_at

),

values_compared as (

    select
        unit_id,
        quantity,
        hour_at,
        min_value,
        max_value,
        case
            when
                min_value = max_value
                and max_value = lag(max_value) over hours_of_sensor
                and lag(min_value) over hours_of_sensor = lag(max_value) over hours_of_sensor
                and lag(hour_at) over hours_of_sensor >= {{ dbt.dateadd('hour', -24, 'hour_at') }}
                then null
            else hour_at
        end as began_at
    from rows_taken
    where is_in_order
    window hours_of_sensor as (partition by unit_id, quantity order by hour_at)

),

values_unchanged as (

    select
        unit_id,
        quantity,
        hour_at,
        case
            when min_value = max_value
                then
                    {{ hours_between(
                        last_known('began_at') ~ ' over hours_of_sensor', 'hour_at'
                    ) }}
            when min_value < max_value then 0
        end as unchanged_hours
    from values_compared
    window hours_of_sensor as (
        partition by unit_id, quantity order by hour_at
        rows between unbounded preceding and current row
    )

),

days_completed as (

    select
        days_summed.*,
        values_unchanged.unchanged_hours,
        cast(coalesce(days_summed.day_sum, 0) + coalesce(late_summed.day_sum, 0) as double)
        / nullif(coalesce(days_summed.day_count, 0) + coalesce(late_summed.day_count, 0), 0)
            as day_mean,
        cast(coalesce(days_summed.earlier_sum, 0) + coalesce(late_summed.earlier_sum, 0) as double)
        / nullif(coalesce(days_summed.earlier_count, 0) + coalesce(late_summed.earlier_count, 0), 0)
            as earlier_day_mean
    from days_summed
    left join late_summed
        on
            days_summed.unit_id = late_summed.unit_id
            and days_summed.quantity = late_summed.quantity
            and days_summed.hour_at = late_summed.hour_at
    left join values_unchanged
        on
            days_summed.unit_id = values_unchanged.unit_id
            and days_summed.quantity = values_unchanged.quantity
            and days_summed.hour_at = values_unchanged.hour_at

),

sensor_features as (

    select
        unit_id,
        quantity,
        reading_count,
        round(median_value, 4) as median_value,
        min_value,
        max_value,
        round(day_mean, 4) as day_mean_value,
        round(day_mean - earlier_day_mean, 4) as drift_value,
        cast(unchanged_hours as double) as unchanged_hours,
        stuck_hours,
        impossible_pct,
        door_open_pct,
        hour_at,
        known_at
    from days_completed

)

select * from sensor_features
