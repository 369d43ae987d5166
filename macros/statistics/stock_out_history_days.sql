{% macro stock_out_history_days() -%}
    56
{%- endmacro %}
