{% macro measure_metric(metric) -%}
    cast(
        {%- if metric.aggregation == 'count_distinct' %}
        count(distinct {{ metric.column }})
        {%- else %}
        {{ metric.aggregation }}({{ metric.column or '*' }})
        {%- endif %} as double
    )
{%- endmacro %}
