{#
    Late is what lies too far behind what earlier loads had shown; the clock that a load ran by only
    bounds that, so that one event from the future does not make everything late.
#}
{% macro read_web_events(touched_by=none) -%}
    with first_arrivals as (

        {{ first_arrivals('web.events', key='event_id', touched_by=touched_by) }}

    ),

    loads as (

        select
            _load_id,
            min(_batch) as first_batch,
            least(max(occurred_at), max(_loaded_at)) as shown_to
        from {{ source('web', 'events') }}
        group by _load_id

    ),

    loads_preceded as (

        select
            _load_id,
            max(shown_to) over (
                order by first_batch
                rows between unbounded preceding and 1 preceding
            ) as shown_before_to
        from loads

    ),

    referrer_domains as (

        select * from {{ ref('referrer_domains') }}

    ),

    events_masked as (

        select
            event_id,
            visitor_id,
            customer_id,
            product_id,
            event_type,
            {{ mask_url_to_path('url') }} as page_path,
            {{ extract_domain('url') }} as own_domain,
            coalesce(trim(referrer) <> '', false) as has_referrer,
            {{ extract_domain('referrer') }} as referrer_domain,
            {{ mask_user_agent_to_device_class('user_agent') }} as device_class,
            {{ mask_user_agent_to_bot_flag('user_agent') }} as is_declared_bot,
            occurred_at,
            _load_id,
            _loaded_at,
            _is_backfill
        from first_arrivals
        where not coalesce(_deleted, false)

    ),

    domains_found as (

        select distinct referrer_domain
        from events_masked
        where referrer_domain is not null

    ),

    domains_ranked as (

        select
            domains_found.referrer_domain,
            referrer_domains.referrer_class,
            row_number() over (
                partition by domains_found.referrer_domain
                order by length(referrer_domains.domain_pattern) desc
            ) as class_rank
        from domains_found
        inner join referrer_domains
            on domains_found.referrer_domain like referrer_domains.domain_pattern

    ),

    domains_classed as (

        select
            referrer_domain,
            referrer_class
        from domains_ranked
        where class_rank = 1

    )

    select
        events_masked.event_id,
        events_masked.visitor_id,
        events_masked.customer_id,
        events_masked.product_id,
        events_masked.event_type,
        events_masked.page_path,
        case
            when not events_masked.has_referrer then 'direct'
            when events_masked.referrer_domain = events_masked.own_domain then 'internal'
            else coalesce(domains_classed.referrer_class, 'other_site')
        end as referrer_class,
        events_masked.device_class,
        events_masked.is_declared_bot,
        coalesce(
            not coalesce(events_masked._is_backfill, false)
            and events_masked.occurred_at
            < loads_preceded.shown_before_to - {{ allowed_lateness() }},
            false
        ) as is_late,
        events_masked.occurred_at,
        events_masked._loaded_at,
        events_masked._is_backfill
    from events_masked
    left join loads_preceded on events_masked._load_id = loads_preceded._load_id
    left join domains_classed
        on events_masked.referrer_domain = domains_classed.referrer_domain
{%- endmacro %}
