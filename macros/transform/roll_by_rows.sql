{% macro roll_by_rows(aggregate, column, rows, order_by, partition_by=none) -%}
    {%- set rolled -%}
        {{ aggregate }}({{ column }}) over (
            {{ order_rows(order_by, partition_by) }}
            rows between {{ rows }} preceding and 1 preceding
        )
    {%- endset -%}
    {{ 'coalesce(' ~ rolled ~ ', 0)' if aggregate in ['count', 'sum'] else rolled }}
{%- endmacro %}
