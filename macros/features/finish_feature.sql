{# A feature as a column of the training set: without an event, counts and sums are 0, all else is null. #}
{% macro finish_feature(part, value) -%}
    {%- set column = part ~ '.' ~ value.feature -%}
    {%- if value.agg in ['count', 'count_distinct', 'sum'] -%}
    cast(coalesce({{ column }}, 0) as {{ value.type }})
    {%- else -%}
    {{ column }}
    {%- endif -%}
{%- endmacro %}
