{% macro count_elements(list, condition) -%}
    {{ return(adapter.dispatch('count_elements')(list, condition)) }}
{%- endmacro %}

{% macro default__count_elements(list, condition) -%}
    len(list_filter({{ list }}, lambda element: {{ condition }}))
{%- endmacro %}

{# Spark's size of null is -1 unless it is told otherwise. #}
{% macro spark__count_elements(list, condition) -%}
    array_size(filter({{ list }}, element -> {{ condition }}))
{%- endmacro %}
