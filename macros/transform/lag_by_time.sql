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
