with sessions as (

    select * from {{ ref('fct_sessions') }}
    where not is_bot

),

web_events as (

    select * from {{ ref('fct_web_events') }}

),

funnel_steps as (

    select
        *,
        substring('abcdefghijklmnopqrstuvwxyz', step_number, 1) as step_letter
    from {{ ref('funnel_steps') }}

),

-- A letter is a step. A session with the letters abbacd reached step b because they match
-- %a%b%: in this order, with any letters between. At one moment the earlier step counts first.
steps_with_way as (

    select
        funnel_steps.funnel_name,
        funnel_steps.step_number,
        funnel_steps.step_name,
        '%' || {{ dbt.listagg(
            'earlier_steps.step_letter', "'%'", 'order by earlier_steps.step_number'
        ) }} || '%' as way
    from funnel_steps
    inner join funnel_steps as earlier_steps
        on
            funnel_steps.funnel_name = earlier_steps.funnel_name
            and funnel_steps.step_number >= earlier_steps.step_number
    group by funnel_steps.funnel_name, funnel_steps.step_number, funnel_steps.step_name

),

steps_done as (

    select
        web_events.session_id,
        funnel_steps.funnel_name,
        {{ dbt.listagg(
            'funnel_steps.step_letter', "''",
            'order by web_events.occurred_at, funnel_steps.step_number'
        ) }} as letters
    from web_events
    inner join funnel_steps
        on
            web_events.event_type = funnel_steps.event_type
            and coalesce(web_events.page_path, '')
            like coalesce(funnel_steps.page_path_pattern, '%')
    where web_events.session_id is not null
    group by web_events.session_id, funnel_steps.funnel_name

),

sessions_counted as (

    select
        started_date,
        device_class,
        count(*) as session_count
    from sessions
    group by started_date, device_class

),

steps_reached as (

    select
        sessions.started_date,
        sessions.device_class,
        steps_with_way.funnel_name,
        steps_with_way.step_number,
        count(*) as session_count
    from steps_done
    inner join sessions on steps_done.session_id = sessions.session_id
    inner join steps_with_way
        on
            steps_done.funnel_name = steps_with_way.funnel_name
            and steps_done.letters like steps_with_way.way
    group by
        sessions.started_date,
        sessions.device_class,
        steps_with_way.funnel_name,
        steps_with_way.step_number

),

-- All steps of each day with a session, reached or not.
steps_counted as (

    select
        sessions_counted.started_date,
        sessions_counted.device_class,
        steps_with_way.funnel_name,
        steps_with_way.step_number,
        steps_with_way.step_name,
        sessions_counted.session_count as day_session_count,
        coalesce(steps_reached.session_count, 0) as session_count
    from sessions_counted
    cross join steps_with_way
    left join steps_reached
        on
            sessions_counted.started_date = steps_reached.started_date
            and sessions_counted.device_class = steps_reached.device_class
            and steps_with_way.funnel_name = steps_reached.funnel_name
            and steps_with_way.step_number = steps_reached.step_number

),

funnel as (

    select
        funnel_name,
        step_name,
        device_class,
        step_number,
        session_count,
        coalesce(
            lag(session_count) over (
                partition by started_date, device_class, funnel_name
                order by step_number
            ),
            day_session_count
        ) as previous_session_count,
        started_date
    from steps_counted

)

select * from funnel
