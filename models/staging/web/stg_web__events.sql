with web_events as (

    {{ read_web_events() }}

),

stg_web__events as (

    select
        event_id,
        visitor_id,
        customer_id,
        product_id,
        event_type,
        page_path,
        referrer_class,
        device_class,
        is_declared_bot,
        is_late,
        occurred_at,
        _loaded_at,
        _is_backfill
    from web_events

)

select * from stg_web__events
