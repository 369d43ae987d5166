{# A year at most: seasons and weekdays of one person say nothing, and no date leaves its century. #}
{% macro draw_shift_days(person) -%}
    {%- set digits = pseudonymise(person, purpose='date shift', digits=8) -%}
    -1 - {{ convert_hex_to_integer(digits) }} % 365
{%- endmacro %}
