{% macro lag_by_rows(column, rows, order_by, partition_by=none) -%}
    lag({{ column }}, {{ rows }}) over ({{ order_rows(order_by, partition_by) }})
{%- endmacro %}
