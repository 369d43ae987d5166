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
