{% macro hours_between(earlier, later) -%}
    ({{ convert_to_epoch_us(later) }} - {{ convert_to_epoch_us(earlier) }}) / 3600000000.0e0
{%- endmacro %}
