{# NaN is no number to learn from: it is missing, as in scikit-learn and pandas. #}
{% macro nan_to_null(column) -%}
    nullif(cast({{ column }} as double), cast('NaN' as double))
{%- endmacro %}
