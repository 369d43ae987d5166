-- Sensors that showed one value for at least eight hours by the clock's day, while the other
-- sensors of the unit worked.
select
    unit_id_of(unit_number) as unit_id,
    stuck_quantity as quantity,
    moment(0, stuck_second) as started_at,
    moment(0, least(stuck_second + stuck_seconds, (getvariable('until_day') + 1) * 86400))
        as ended_at
from unit_cycles
where
    least(stuck_second + stuck_seconds, (getvariable('until_day') + 1) * 86400) - stuck_second
    >= 28800
order by unit_id, started_at;
