{% macro negation_reach() -%}
    3
{%- endmacro %}
