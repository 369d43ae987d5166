{% macro oldest_age() -%}
    90
{%- endmacro %}
