{# The contract's own columns; any other quantity comes in equipment.measurements. #}
{% macro sensor_quantities() -%}
    {{ return(['temperature_celsius', 'humidity_pct', 'vibration_mm_s', 'power_watts']) }}
{%- endmacro %}
