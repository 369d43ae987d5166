{% macro flag_missing(column) -%}
    {{ column }} is null
{%- endmacro %}
