{#
    Features of each moment by a join with the events that were known by then. A first or last value is looked up by
    its time: to carry values and ids along with all events of a moment takes three times as long, and much memory.
#}
{% macro aggregate_by_range(moments, events, key_count, values) -%}
    {%- set looked_up = values | selectattr('agg', 'in', ['first', 'last']) | list -%}
    {%- if not looked_up -%}
    {{ aggregate_pairs(moments, events, key_count, values) }}
    {%- else -%}
    with aggregated as (

        {{ aggregate_pairs(moments, events, key_count, values) }}

    )
    {%- for value in looked_up %},

    looked_up_{{ loop.index }} as (

        {{ look_up_value('aggregated', events, key_count, value) }}

    )
    {%- endfor %}

    select
        {%- for number in range(1, key_count + 1) %}
        aggregated.entity_{{ number }},
        {%- endfor %}
        {%- for value in values %}
        {{ 'looked_up_' ~ (looked_up.index(value) + 1) if value in looked_up else 'aggregated' }}.{{ value.feature }},
        {%- endfor %}
        aggregated.moment_us
    from aggregated
    {%- for value in looked_up %}
    {%- set found = 'looked_up_' ~ loop.index %}
    left join {{ found }}
        on
            aggregated.moment_us = {{ found }}.moment_us
            {%- for number in range(1, key_count + 1) %}
            and aggregated.entity_{{ number }} = {{ found }}.entity_{{ number }}
            {%- endfor %}
    {%- endfor %}
    {%- endif -%}
{%- endmacro %}
