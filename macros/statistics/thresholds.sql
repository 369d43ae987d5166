{#- Named here, so that a team changes each in one place. -#}
{% macro default_conversion_window_days() -%}
    14
{%- endmacro %}

{% macro sample_ratio_threshold() -%}
    0.001e0
{%- endmacro %}

{% macro stock_out_threshold() -%}
    0.00001e0
{%- endmacro %}

{% macro stock_out_history_days() -%}
    56
{%- endmacro %}
