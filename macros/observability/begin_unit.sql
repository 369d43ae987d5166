{# The beginning of the hour, day, week or month of a moment. #}
{% macro begin_unit(moment, every) -%}
    cast(date_trunc('{{ every }}', cast({{ moment }} as timestamp)) as timestamp)
{%- endmacro %}
