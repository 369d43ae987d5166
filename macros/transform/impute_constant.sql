{% macro impute_constant(column, value) -%}
    coalesce({{ column }}, {{ value }})
{%- endmacro %}
