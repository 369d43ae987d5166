-- Sessions as planned, of what was sent: a visit is one, or two if the visitor was away for more
-- than half an hour. has_late_events: an event was sent more than three days after it happened.
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
