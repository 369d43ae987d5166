{% macro lag_by_rows(column, rows, order_by, partition_by=none) -%}
    lag({{ column }}, {{ rows }}) over ({{ order_rows(order_by, partition_by) }})
{%- endmacro %}

{# A row without a time is at no distance from any other: it has no window, and is in none. #}
{% macro lag_by_time(column, duration, time, partition_by=none) -%}
    {%- set pair = make_pair(convert_to_epoch_us(time), column) -%}
    case when {{ time }} is not null then (
        max(case when {{ column }} is not null then {{ pair }} end) over (
            {{ order_rows(convert_to_epoch_us(time), partition_by) }}
            range between unbounded preceding and {{ convert_duration_to_us(duration) }} preceding
        )
    ).second end
{%- endmacro %}

{% macro roll_by_rows(aggregate, column, rows, order_by, partition_by=none) -%}
    {%- set rolled -%}
        {{ aggregate }}({{ column }}) over (
            {{ order_rows(order_by, partition_by) }}
            rows between {{ rows }} preceding and 1 preceding
        )
    {%- endset -%}
    {{ 'coalesce(' ~ rolled ~ ', 0)' if aggregate in ['count', 'sum'] else rolled }}
{%- endmacro %}

{% macro roll_by_time(aggregate, column, duration, time, partition_by=none) -%}
    {%- set rolled -%}
        {{ aggregate }}({{ column }}) over (
            {{ order_rows(convert_to_epoch_us(time), partition_by) }}
            range between {{ convert_duration_to_us(duration) }} preceding and 1 preceding
        )
    {%- endset -%}
    case when {{ time }} is not null then
        {{ 'coalesce(' ~ rolled ~ ', 0)' if aggregate in ['count', 'sum'] else rolled }}
    end
{%- endmacro %}
