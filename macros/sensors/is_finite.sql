{# NaN is greater than every number, in DuckDB and in Spark. #}
{% macro is_finite(number) -%}
    abs({{ number }}) <= 1.7976931348623157e308
{%- endmacro %}
