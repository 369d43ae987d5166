{% macro encode_target(column, encodings) -%}
    coalesce(
        {{ find_category('encoding', column, encodings, where='not is_default') }},
        (
            select encoding from {{ encodings }}
            where column_name = '{{ column.split('.') | last }}' and is_default
        )
    )
{%- endmacro %}
