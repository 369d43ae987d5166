{% macro impute_last(column, order_by, partition_by=none, within=none) -%}
    {%- set time = order_by if order_by is string else order_by[0] -%}
    {%- set until_this_row -%}
        ({{ order_rows(order_by, partition_by) }} rows between unbounded preceding and current row)
    {%- endset -%}
    {%- set last_value = last_known(column) ~ ' over ' ~ until_this_row -%}
    {%- if within is none -%}
    {{ last_value }}
    {%- else -%}
    {%- set known_at = 'case when ' ~ column ~ ' is not null then ' ~ convert_to_epoch_us(time) ~ ' end' -%}
    coalesce({{ column }}, case
        when
            {{ convert_to_epoch_us(time) }}
            - {{ last_known(known_at) }} over {{ until_this_row }}
            <= {{ convert_duration_to_us(within) }}
            then {{ last_value }}
    end)
    {%- endif -%}
{%- endmacro %}
