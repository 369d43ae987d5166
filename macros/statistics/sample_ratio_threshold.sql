{% macro sample_ratio_threshold() -%}
    0.001e0
{%- endmacro %}
