{#- Named here, so that a team changes each in one place. -#}
{% macro default_conversion_window_days() -%}
    14
{%- endmacro %}
