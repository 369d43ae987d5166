-- Failures of units, from failed_at until repaired_at. The temperature drifts up for five days
-- before.
select
    unit_id,
    maintenance_id,
    moment(0, started_second) as failed_at,
    moment(0, ended_second) as repaired_at
from equipment_jobs
where kind = 'failure' and is_shown(opened_shown_day_number)
order by unit_id, failed_at;
