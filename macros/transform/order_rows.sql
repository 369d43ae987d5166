{# What stands in a window's brackets; nulls last on every engine, or they would be in every frame. #}
{% macro order_rows(order_by, partition_by=none) -%}
    {%- set order_by = [order_by] if order_by is string else order_by -%}
    {%- set partition_by = [partition_by] if partition_by is string else partition_by or [] -%}
    {%- if partition_by -%} partition by {{ partition_by | join(', ') }} {% endif -%}
    order by {{ order_by | join(' nulls last, ') }} nulls last
{%- endmacro %}
