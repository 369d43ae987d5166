{% macro roll_past(aggregate, column, time, partition_by=none) -%}
    {%- set rolled -%}
        {{ aggregate }}({{ column }}) over (
            {{ order_rows(convert_to_epoch_us(time), partition_by) }}
            range between unbounded preceding and 1 preceding
        )
    {%- endset -%}
    {{ 'coalesce(' ~ rolled ~ ', 0)' if aggregate in ['count', 'sum'] else rolled }}
{%- endmacro %}
