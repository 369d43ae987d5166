{# NaN is no number to learn from: it is missing, as in scikit-learn and pandas. #}
{% macro read_number(column) -%}
    nullif(cast({{ column }} as double), cast('NaN' as double))
{%- endmacro %}
