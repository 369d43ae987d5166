{# Anscombe's transform of a share: its noise is one half of the root's inverse of the rows, whatever the share is. #}
{% macro stabilise_share(part_count, row_count) -%}
    asin(sqrt(({{ part_count }} + 0.375e0) / ({{ row_count }} + 0.75e0)))
{%- endmacro %}

{% macro restore_share(stabilised) -%}
    power(sin(greatest(0, least({{ stabilised }}, pi() / 2))), 2)
{%- endmacro %}
