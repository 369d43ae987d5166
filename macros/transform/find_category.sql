{# The names within are such that no column of the outer query is taken for one of the parameters'. #}
{% macro find_category(value, column, parameters, where='true') -%}
    (
        select max(fitted.fitted_value)
        from (
            select
                {{ value }} as fitted_value,
                {{ name_category('category') }} as fitted_category
            from {{ parameters }}
            where column_name = '{{ column.split('.') | last }}' and {{ where }}
        ) as fitted
        where fitted.fitted_category = {{ name_category(column) }}
    )
{%- endmacro %}
