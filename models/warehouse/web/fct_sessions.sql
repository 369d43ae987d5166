{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_affected_keys(
        key='visitor_id', inputs=['web.events'], dimensions=['dim_customer'], at='started_at'
    ) }}",
    post_hook="{{ record_incremental_state(['web.events'], through='fct_web_events') }}",
) }}

with web_events as (

    select * from {{ ref('fct_web_events') }}
    {{ filter_affected_keys('visitor_id') }}

),

web_event_types as (

    select * from {{ ref('web_event_types') }}

),

dim_customer as (

    select * from {{ ref('dim_customer') }}

),

events_in_time as (

    select
        web_events.session_id,
        web_events.visitor_id,
        web_events.customer_id,
        web_events.page_path,
        web_events.referrer_class,
        web_events.device_class,
        web_events.event_number,
        case when web_events.customer_id is not null then web_events.event_number end
            as logged_in_event_number,
        web_events.is_declared_bot,
        coalesce(web_event_types.is_page_view, false) as is_page_view,
        coalesce(web_event_types.is_order, false) as is_order,
        web_events.occurred_at,
        web_events._loaded_at,
        web_events._is_backfill
    from web_events
    left join web_event_types on web_events.event_type = web_event_types.event_type
    where not web_events.is_late

),

sessions_counted as (

    select
        session_id,
        visitor_id,
        max_by(customer_id, logged_in_event_number) as customer_id,
        min_by(page_path, case when page_path is not null then event_number end)
            as landing_path,
        min_by(referrer_class, event_number) as referrer_class,
        min_by(device_class, event_number) as device_class,
        count(*) as event_count,
        count(case when is_page_view then 1 end) as page_view_count,
        count(case when is_order then 1 end) as order_count,
        count(distinct customer_id) as customer_count,
        max(case when is_declared_bot then 1 else 0 end) = 1 as is_declared_bot,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at,
        max(_loaded_at) as _loaded_at,
        max(case when _is_backfill then _loaded_at end) as backfilled_at
    from events_in_time
    group by session_id, visitor_id

),

sessions_timed as (

    select
        *,
        cast(
            ({{ convert_to_epoch_us('ended_at') }} - {{ convert_to_epoch_us('started_at') }})
            / 1000000.0 as decimal(18, 3)
        ) as duration_seconds,
        min(
            case
                when customer_id is not null
                    then {{ make_pair(convert_to_epoch_us('started_at'), 'session_id') }}
            end
        ) over (
            partition by visitor_id
            order by started_at, session_id
            rows between current row and unbounded following
        ) as next_login
    from sessions_counted

),

fct_sessions as (

    select
        sessions_timed.session_id,
        sessions_timed.visitor_id,
        sessions_timed.customer_id,
        coalesce(dim_customer.customer_key, {{ unknown_key() }}) as customer_key,
        login_sessions.customer_id as stitched_customer_id,
        sessions_timed.landing_path,
        sessions_timed.referrer_class,
        sessions_timed.device_class,
        sessions_timed.event_count,
        sessions_timed.page_view_count,
        sessions_timed.order_count,
        sessions_timed.customer_count,
        sessions_timed.duration_seconds,
        sessions_timed.is_declared_bot,
        sessions_timed.is_declared_bot
        or {{ detect_bot_pace('sessions_timed.event_count', 'sessions_timed.duration_seconds') }}
            as is_bot,
        {{ business_date('sessions_timed.started_at') }} as started_date,
        sessions_timed.started_at,
        sessions_timed.ended_at,
        login_sessions.ended_at as stitched_at,
        sessions_timed._loaded_at,
        coalesce(sessions_timed.backfilled_at = sessions_timed._loaded_at, false) as _is_backfill
    from sessions_timed
    left join sessions_timed as login_sessions
        on
            sessions_timed.visitor_id = login_sessions.visitor_id
            and (sessions_timed.next_login).second = login_sessions.session_id
    left join dim_customer
        on {{ as_of(
            'dim_customer', 'sessions_timed.customer_id', at='sessions_timed.started_at'
        ) }}

)

select * from fct_sessions
