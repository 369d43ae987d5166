{#
    The events of a group: the first to arrive of each id, without those that are too late, with the moments in
    microseconds at which they happened and became known. Rows that arrived at once are told apart by all declared
    values, so that a value does not depend on which others are asked for.
#}
{% macro select_events(group) -%}
    {%- set event_us = convert_to_epoch_us('cast(' ~ group.event_time ~ ' as timestamp)') -%}
    {%- set usual_us = event_us ~ ' + ' ~ group.available_delay_us -%}
    {%- set seen_us = convert_to_epoch_us('cast(' ~ group.available_at ~ ' as timestamp)')
        if group.available_at else usual_us -%}
    {%- set is_backfill = 'coalesce(' ~ group.backfill ~ ', false)' if group.backfill else 'false' -%}
    {%- set own = group.through['from'] if group.through else group.entity -%}
    {%- set own = [own] if own is string else own -%}
    {%- set all_values = group.get('all_values') or group['values'] -%}
    {%- set columns = all_values | selectattr('of') | map(attribute='of') | unique | list -%}
    {%- set conditions = all_values | selectattr('where') | map(attribute='where') | unique | list -%}
    with events_timed as (

        select
            {%- for column in own %}
            {{ column }} as key_{{ loop.index }},
            {%- endfor %}
            {%- for column in columns %}
            {{ column }} as of_{{ column }},
            {%- endfor %}
            {%- for condition in conditions %}
            coalesce({{ condition }}, false) as is_counted_{{ loop.index }},
            {%- endfor %}
            coalesce({{ group.where or 'true' }}, false) as is_counted,
            {{ is_backfill }} as is_backfill,
            {{ identify_event(group.event_id) }} as event_id,
            {{ event_us }} as event_us,
            case when {{ is_backfill }} then {{ usual_us }} else {{ seen_us }} end as known_us
        from {{ group.relation }}

    ),

    events_ranked as (

        select
            *,
            {% if group.is_unique -%}
            1
            {%- else -%}
            row_number() over (
                partition by event_id
                order by known_us, event_us, is_backfill, is_counted
                {%- for column in own %}, key_{{ loop.index }} nulls last{% endfor -%}
                {%- for column in columns %}, of_{{ column }} nulls last{% endfor -%}
                {%- for condition in conditions %}, is_counted_{{ loop.index }}{% endfor %}
            )
            {%- endif %} as arrival_rank
        from events_timed
        where event_id is not null and event_us is not null and known_us is not null

    )
    {%- if group.through %},

    paths as (

        {{ select_paths(group.through, group.entity) | indent(8) }}

    )
    {%- endif %}

    select
        {%- for column in group.entity %}
        {{ 'paths.entity_' ~ loop.index if group.through else 'events_ranked.key_' ~ loop.index ~ ' as entity_' ~ loop.index }},
        {%- endfor %}
        {%- for column in columns %}
        events_ranked.of_{{ column }},
        {%- endfor %}
        {%- for value in group['values'] %}
        {%- if value.where %}
        events_ranked.is_counted_{{ conditions.index(value.where) + 1 }} as counts_{{ value.feature }},
        {%- endif %}
        {%- endfor %}
        events_ranked.event_id,
        events_ranked.event_us,
        {% if group.through -%}
        greatest(events_ranked.known_us, paths.path_known_us) as known_us
        {%- else -%}
        events_ranked.known_us
        {%- endif %}
    from events_ranked
    {%- if group.through %}
    inner join paths
        on
            {%- for column in own %}
            {{ 'and ' if not loop.first }}events_ranked.key_{{ loop.index }} = paths.key_{{ loop.index }}
            {%- endfor %}
    {%- endif %}
    where
        events_ranked.arrival_rank = 1
        and events_ranked.is_counted
        {%- if group.lateness_us is not none %}
        and (events_ranked.is_backfill or events_ranked.known_us <= events_ranked.event_us + {{ group.lateness_us }})
        {%- endif %}
        {%- if not group.through %}
        {%- for column in own %}
        and events_ranked.key_{{ loop.index }} is not null
        {%- endfor %}
        {%- endif %}
{%- endmacro %}
