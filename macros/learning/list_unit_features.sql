{# The columns of int_unit_days_described that a model of failures reads. #}
{% macro list_unit_features() -%}
    {%- set features = ['model', 'sensor_count'] -%}
    {%- for quantity in sensor_quantities() -%}
        {%- set name, _, unit = quantity.partition('_') -%}
        {%- do features.extend(['median_' ~ quantity, name ~ '_drift_' ~ unit]) -%}
    {%- endfor -%}
    {{ return(features + [
        'door_open_pct', 'highest_impossible_pct', 'longest_unchanged_hours', 'hours_since_service',
        'hours_since_failure', 'largest_drift_deviations', 'largest_value_deviations', 'has_stuck_sensor',
    ]) }}
{%- endmacro %}
