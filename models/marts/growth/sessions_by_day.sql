with sessions as (

    select * from {{ ref('fct_sessions') }}

),

sessions_of_visitors as (

    select
        *,
        min(started_at) over (partition by visitor_id) as visitor_started_at
    from sessions

),

sessions_by_day as (

    select
        referrer_class,
        device_class,
        count(*) as session_count,
        count(case when started_at = visitor_started_at then 1 end) as first_session_count,
        count(case when customer_id is not null then 1 end) as logged_in_session_count,
        count(case when event_count = 1 then 1 end) as bounced_session_count,
        count(case when order_count > 0 then 1 end) as ordering_session_count,
        count(distinct visitor_id) as visitor_count,
        cast(sum(event_count) as bigint) as event_count,
        cast(sum(page_view_count) as bigint) as page_view_count,
        cast(sum(duration_seconds) as decimal(18, 3)) as duration_seconds,
        is_bot,
        started_date
    from sessions_of_visitors
    group by referrer_class, device_class, is_bot, started_date

)

select * from sessions_by_day
