{# The hours from one moment to another one, with their fraction. #}
{% macro count_hours(first, last) -%}
    ({{ convert_to_epoch_us(last) }} - {{ convert_to_epoch_us(first) }}) / 3600000000.0e0
{%- endmacro %}
