{% macro stock_out_threshold() -%}
    0.00001e0
{%- endmacro %}
