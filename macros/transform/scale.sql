{% macro scale(column, parameters, method='standard', value=none) -%}
    (
        {{ nan_to_null(value or column) }}
        - {{ get_parameter('center', column, method, parameters) }}
    ) / {{ get_parameter('scale', column, method, parameters) }}
{%- endmacro %}
