-- Hours that a unit was truly too warm, before noise: a door left open, or a failure and the hours
-- around it.
with causes as (

    -- Warmth rises by 0.12 degrees a minute, twice as fast in a freezer, and falls as fast.
    select
        unit_number,
        'door' as cause,
        door_second + (upper_limit - setpoint) * 60 // (12 * warming) as started_second,
        door_second + door_seconds
        + (warming * least(700, door_seconds * 12 // 60) - (upper_limit - setpoint)) * 60
        // (12 * warming) as ended_second
    from unit_cycles
    where door_second is not null

    union all

    -- It has drifted by 2 degrees when it begins to rise by 2.5 an hour, four hours before failure.
    select
        unit_number,
        'failure' as cause,
        failed_second - 14400
        + (upper_limit - setpoint - 200 * warming) * 120 // (5 * warming) as started_second,
        failed_second + repair_seconds
        + (
            warming * least(1500, (repair_seconds + 14400) * 5 // 120) - (upper_limit - setpoint)
        ) * 60 // (12 * warming) as ended_second
    from unit_cycles
    where failed_second is not null

)

select
    unit_id_of(unit_number) as unit_id,
    cause,
    moment(0, started_second) as started_at,
    moment(0, ended_second) as ended_at
from causes
where is_shown(day_of_second(ended_second))
order by unit_id, started_at;
