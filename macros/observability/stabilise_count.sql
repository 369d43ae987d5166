{# Anscombe's transform: the noise of a count is then one, whether few or many are counted. #}
{% macro stabilise_count(row_count) -%}
    2 * sqrt(greatest({{ row_count }}, 0) + 0.375e0)
{%- endmacro %}

{% macro restore_count(stabilised) -%}
    greatest(0, {{ stabilised }} * {{ stabilised }} / 4 - 0.375e0)
{%- endmacro %}
