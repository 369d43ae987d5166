{% macro take_median(number) -%}
    {{ return(adapter.dispatch('take_median')(number)) }}
{%- endmacro %}

{% macro default__take_median(number) -%}
    median({{ number }})
{%- endmacro %}

{# Spark's own median takes no frame of rows. #}
{% macro spark__take_median(number) -%}
    percentile({{ number }}, 0.5)
{%- endmacro %}
