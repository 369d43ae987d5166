{% macro smooth_by_average(column, rows, order_by, partition_by=none, centred=false) -%}
    avg({{ nan_to_null(column) }}) over (
        {{ order_rows(order_by, partition_by) }} {{ frame_rows(rows, centred) }}
    )
{%- endmacro %}
