{# The difference as a share of the larger number: from -1 for none of what was expected up to 1. #}
{% macro compare_counts(found, expected) -%}
    ({{ found }} - {{ expected }}) / nullif(greatest(abs({{ found }}), abs({{ expected }})), 0)
{%- endmacro %}
