-- Times when a unit was really too warm, without measurement noise. The cause is an open door or a
-- failure.
with causes as (

    -- The temperature rises by 0.12 degrees Celsius per minute, twice as fast in a freezer. It
    -- falls at the same rate.
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

    -- Four hours before the failure, the drift has reached 2 degrees Celsius. From then on, the
    -- temperature rises by 2.5 degrees per hour, twice as fast in a freezer.
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
