{% macro impute_median(column, parameters) -%}
    coalesce({{ nan_to_null(column) }}, {{ get_parameter('center', column, 'median', parameters) }})
{%- endmacro %}
