{#
    What changes the totals of a key, one row per key and moment: an event enters when it is known and begins to count,
    and leaves each window when the window has passed it.
#}
{% macro list_changes(events, key_count, values) -%}
    {%- set begin_us = values[0].begin_us -%}
    {%- set enters_us = 'greatest(event_us + ' ~ begin_us ~ ', known_us)' -%}
    {%- set windows = values | selectattr('window_us') | map(attribute='window_us') | unique | list -%}
    with changes as (
        {%- for window_us in [none] + windows %}

        select
            {%- for number in range(1, key_count + 1) %}
            entity_{{ number }},
            {%- endfor %}
            {%- for value in values %}
            {{ change_total('1', value, window_us, enters_us) }} as count_{{ value.feature }},
            {%- if value.agg != 'count' %}
            {{ change_total(
                'cast(of_' ~ value.of ~ ' as integer)' if value.kind == 'boolean' else 'of_' ~ value.of,
                value, window_us, enters_us
            ) }} as sum_{{ value.feature }},
            {%- endif %}
            {%- endfor %}
            {% if window_us is none -%}
            {{ enters_us }} as changes_us
        from {{ events }}
            {%- else -%}
            event_us + {{ begin_us + window_us }} as changes_us
        from {{ events }}
        where {{ enters_us }} < event_us + {{ begin_us + window_us }}
            {%- endif -%}
        {{ '\n\n        union all' if not loop.last }}
        {%- endfor %}

    )

    select
        {%- for number in range(1, key_count + 1) %}
        entity_{{ number }},
        {%- endfor %}
        {%- for value in values %}
        sum(count_{{ value.feature }}) as count_{{ value.feature }},
        {%- if value.agg != 'count' %}
        sum(sum_{{ value.feature }}) as sum_{{ value.feature }},
        {%- endif %}
        {%- endfor %}
        changes_us
    from changes
    group by
        {%- for number in range(1, key_count + 1) %}
        entity_{{ number }},
        {%- endfor %}
        changes_us
{%- endmacro %}
