{# Two rows for one column and method are an error of the query, not a choice of one of them. #}
{% macro get_parameter(name, column, method, parameters) -%}
    (
        select {{ name }} from {{ parameters }}
        where column_name = '{{ column.split('.') | last }}' and method = '{{ method }}'
    )
{%- endmacro %}
