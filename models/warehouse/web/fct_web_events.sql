{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_affected_keys(key='visitor_id', inputs=['web.events']) }}",
    post_hook="{{ record_incremental_state(['web.events']) }}",
) }}

with web_events as (

    {{ read_web_events(affected_by='visitor_id') }}

),

events_numbered as (

    select
        *,
        row_number() over visits as visitor_event_number,
        row_number() over visits = 1
        or (
            tracker_session_id is null
            and lag(occurred_at) over visits + interval '{{ var('session_gap_minutes') }}' minute
            < occurred_at
        ) as is_session_start
    from web_events
    window visits as (
        partition by visitor_id, is_late, tracker_session_id
        order by occurred_at, event_id
    )

),

sessions_begun as (

    select
        *,
        max(case when is_session_start then visitor_event_number end) over so_far
            as first_event_number,
        max(case when is_session_start then occurred_at end) over so_far as session_started_at
    from events_numbered
    window so_far as (
        partition by visitor_id, is_late, tracker_session_id
        order by visitor_event_number
        rows between unbounded preceding and current row
    )

),

fct_web_events as (

    select
        event_id,
        case
            when not is_late
                then {{ name_session('visitor_id', 'session_started_at', 'tracker_session_id') }}
        end as session_id,
        visitor_id,
        customer_id,
        product_id,
        event_type,
        event_value,
        page_path,
        referrer_class,
        device_class,
        case when not is_late then visitor_event_number - first_event_number + 1 end
            as event_number,
        is_declared_bot,
        is_late,
        {{ business_date('occurred_at') }} as occurred_date,
        occurred_at,
        _loaded_at,
        _is_backfill
    from sessions_begun

)

select * from fct_web_events
