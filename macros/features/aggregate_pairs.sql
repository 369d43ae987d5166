{# The aggregates of each moment over its pairs with events; of first and last values their times. #}
{% macro aggregate_pairs(moments, events, key_count, values) -%}
    {%- set begin_us = values | map(attribute='begin_us') | min -%}
    {%- set ends = [] -%}
    {%- for value in values if value.window_us is not none -%}
        {%- do ends.append(value.begin_us + value.window_us) -%}
    {%- endfor -%}
    {%- set end_us = ends | max if ends | length == values | length else none -%}
    select
        {%- for number in range(1, key_count + 1) %}
        moments.entity_{{ number }},
        {%- endfor %}
        moments.moment_us,
        {%- for value in values %}
        {{ aggregate_feature(value, begin_us, end_us) }} as {{ value.feature }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ moments }} as moments
    inner join {{ events }} as events
        on
            {%- for number in range(1, key_count + 1) %}
            {{ 'and ' if not loop.first }}moments.entity_{{ number }} = events.entity_{{ number }}
            {%- endfor %}
            and events.known_us <= moments.moment_us
            and events.event_us + {{ begin_us }} <= moments.moment_us
            {%- if end_us is not none %}
            and moments.moment_us < events.event_us + {{ end_us }}
            {%- endif %}
    group by
        {%- for number in range(1, key_count + 1) %}
        moments.entity_{{ number }},
        {%- endfor %}
        moments.moment_us
{%- endmacro %}
