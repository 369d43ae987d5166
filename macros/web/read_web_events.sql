{#
    User agents and referrers are far fewer than events, so patterns are matched once with each of them.
    An event is late-arriving if its time is too long before the latest event of earlier loads. The time
    of a load is an upper bound of that, so one event in the future does not make all others late.
    A subquery looks up the loads. In a join, DuckDB would take the events for the smaller side, and
    hold them in one hash table that must fit into memory.
#}
{% macro read_web_events(affected_by=none) -%}
    with first_arrivals as (

        {{ first_arrivals('web.events', key='event_id', affected_by=affected_by) }}

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

    user_agents_masked as (

        select
            user_agent,
            {{ mask_user_agent_to_device_class('user_agent') }} as device_class,
            {{ mask_user_agent_to_bot_flag('user_agent') }} as is_declared_bot
        from (
            select distinct user_agent
            from {{ source('web', 'events') }}
            {{ filter_affected_keys(affected_by) }}
        ) as user_agents
        where user_agent is not null

    ),

    referrers_found as (

        select
            referrer,
            {{ extract_domain('referrer') }} as referrer_domain
        from (
            select distinct referrer
            from {{ source('web', 'events') }}
            {{ filter_affected_keys(affected_by) }}
        ) as referrers
        where trim(referrer) <> ''

    ),

    domains_found as (

        select distinct referrer_domain
        from referrers_found
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

    referrers_classed as (

        select
            referrers_found.referrer,
            referrers_found.referrer_domain,
            coalesce(domains_ranked.referrer_class, 'other_site') as referrer_class
        from referrers_found
        left join domains_ranked
            on
                referrers_found.referrer_domain = domains_ranked.referrer_domain
                and domains_ranked.class_rank = 1

    )

    select
        first_arrivals.event_id,
        first_arrivals.visitor_id,
        nullif(trim(first_arrivals.session_id), '') as tracker_session_id,
        first_arrivals.customer_id,
        first_arrivals.product_id,
        first_arrivals.event_type,
        first_arrivals.value as event_value,
        {{ mask_url_to_path('first_arrivals.url') }} as page_path,
        case
            when referrers_classed.referrer is null then 'direct'
            when {{ is_on_domain('first_arrivals.url', 'referrers_classed.referrer_domain') }}
                then 'internal'
            else referrers_classed.referrer_class
        end as referrer_class,
        coalesce(user_agents_masked.device_class, {{ unknown_code() }}) as device_class,
        coalesce(user_agents_masked.is_declared_bot, false) as is_declared_bot,
        coalesce(
            not coalesce(first_arrivals._is_backfill, false)
            and first_arrivals.occurred_at
            < (
                select loads_preceded.shown_before_to
                from loads_preceded
                where loads_preceded._load_id = first_arrivals._load_id
            ) - interval '{{ var('allowed_lateness_hours') }}' hour,
            false
        ) as is_late,
        first_arrivals.occurred_at,
        first_arrivals._loaded_at,
        first_arrivals._is_backfill
    from first_arrivals
    left join user_agents_masked on first_arrivals.user_agent = user_agents_masked.user_agent
    left join referrers_classed on first_arrivals.referrer = referrers_classed.referrer
    where not coalesce(first_arrivals._deleted, false)
{%- endmacro %}
