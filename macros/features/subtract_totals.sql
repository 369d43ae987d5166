{# Features of each moment: the totals of the events that entered a window, less those of the events that left it. #}
{% macro subtract_totals(entered, left_by_window, key_count, measures, values) -%}
    select
        {%- for number in range(1, key_count + 1) %}
        entered.entity_{{ number }},
        {%- endfor %}
        entered.moment_us,
        {%- for value in values %}
        {%- set numbers = {} -%}
        {%- for measure in measures if value.feature in measure.features -%}
            {%- for kind in ['count', 'sum'] -%}
                {%- set column = measure.name ~ '_' ~ kind -%}
                {%- if value.window_us is none -%}
                    {%- do numbers.update({kind: 'entered.' ~ column}) -%}
                {%- else -%}
                    {%- do numbers.update({
                        kind: '(entered.' ~ column ~ ' - coalesce(' ~ left_by_window[value.window_us] ~ '.' ~ column
                        ~ ', 0))'
                    }) -%}
                {%- endif -%}
            {%- endfor -%}
        {%- endfor %}
        {% if value.agg == 'count' -%}
        {{ numbers['count'] }}
        {%- elif value.agg == 'sum' -%}
        case when {{ numbers['count'] }} > 0 then {{ numbers['sum'] }} end
        {%- else -%}
        cast({{ numbers['sum'] }} as double) / nullif({{ numbers['count'] }}, 0)
        {%- endif %} as {{ value.feature }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ entered }} as entered
    {%- for left_total in left_by_window.values() %}
    left join {{ left_total }}
        on
            entered.moment_us = {{ left_total }}.moment_us
            {%- for number in range(1, key_count + 1) %}
            and entered.entity_{{ number }} = {{ left_total }}.entity_{{ number }}
            {%- endfor %}
    {%- endfor %}
{%- endmacro %}
