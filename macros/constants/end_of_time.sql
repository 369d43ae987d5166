{% macro end_of_time() -%}
    cast('9999-12-31 23:59:59.999999' as timestamp)
{%- endmacro %}
