{# Features of each moment from the totals that hold at it. #}
{% macro find_totals(moments, totals, key_count, values) -%}
    select
        {%- for number in range(1, key_count + 1) %}
        moments.entity_{{ number }},
        {%- endfor %}
        moments.moment_us,
        {%- for value in values %}
        {% if value.agg == 'count' -%}
        totals.count_{{ value.feature }}
        {%- elif value.agg == 'sum' -%}
        totals.sum_{{ value.feature }}
        {%- else -%}
        cast(totals.sum_{{ value.feature }} as double) / nullif(totals.count_{{ value.feature }}, 0)
        {%- endif %} as {{ value.feature }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ moments }} as moments
    asof inner join {{ totals }} as totals
        on
            {%- for number in range(1, key_count + 1) %}
            {{ 'and ' if not loop.first }}moments.entity_{{ number }} = totals.entity_{{ number }}
            {%- endfor %}
            and moments.moment_us >= totals.changes_us
{%- endmacro %}
