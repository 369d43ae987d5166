{% macro unknown_key() -%}
    '00000000000000000000000000000000'
{%- endmacro %}
