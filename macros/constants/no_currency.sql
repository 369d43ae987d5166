{% macro no_currency() -%}
    'XXX'
{%- endmacro %}
