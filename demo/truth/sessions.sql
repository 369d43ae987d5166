-- Planned sessions, of the events that were sent. A visit is one session, or two if the visitor
-- paused for more than half an hour.
-- has_late_events: an event was sent three days after it happened, or later.
select
    visitor_id,
    min(occurred_at) as started_at,
    max(occurred_at) as ended_at,
    count(*) as event_count,
    kind <> 'human' as is_bot,
    max(customer_id_of(customer_number)) as customer_id,
    bool_or(delay_seconds >= 3 * 86400) as has_late_events
from web_visit_events
where is_shown(sent_day_number)
group by visit_id, visitor_id, part, kind
order by visitor_id, started_at;
