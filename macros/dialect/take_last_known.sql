{% macro take_last_known(expression) -%}
    {{ return(adapter.dispatch('take_last_known')(expression)) }}
{%- endmacro %}

{% macro default__take_last_known(expression) -%}
    last_value({{ expression }} ignore nulls)
{%- endmacro %}

{% macro spark__take_last_known(expression) -%}
    last_value({{ expression }}) ignore nulls
{%- endmacro %}
