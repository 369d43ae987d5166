{% macro unknown_code() -%}
    'unknown'
{%- endmacro %}
