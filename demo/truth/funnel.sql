-- Sessions of humans by their first day, with the number that was planned to reach each step.
-- step_number: 1 product viewed, 2 added to the cart, 3 checkout started, 4 bought.
-- is_whole: all events of the day's sessions were sent.
with sessions as (

    select
        cast(min(occurred_at) as date) as started_date,
        if(bool_or(is_last_event), any_value(depth), 0) as depth,
        bool_and(is_shown(sent_day_number)) as is_whole
    from web_visit_events
    where kind = 'human'
    group by visit_id, part

)

select
    sessions.started_date,
    steps.step_number,
    count(*) filter (sessions.depth >= steps.step_number) as session_count,
    bool_and(sessions.is_whole) as is_whole
from sessions
cross join (select unnest([1, 2, 3, 4]) as step_number) as steps
where is_shown(day_of(sessions.started_date))
group by sessions.started_date, steps.step_number
order by sessions.started_date, steps.step_number;
