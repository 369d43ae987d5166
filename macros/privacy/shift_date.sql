{# A year at most: seasons and weekdays of one person say nothing, and no date leaves its century. #}
{% macro shift_date(column, person) -%}
    {%- set digits = "substring(" ~ pseudonymise(person, purpose='date shift') ~ ", 1, 8)" -%}
    {%- set shift_days = '(-1 - ' ~ convert_hex_to_integer(digits) ~ ' % 365)' -%}
    cast({{ dbt.dateadd('day', shift_days, column) }} as date)
{%- endmacro %}
