{% macro encode_one_hot(column, categories) -%}
    {%- set known -%}
        (
            select {{ collect_sorted('category') }} from {{ categories }}
            where column_name = '{{ column.split('.') | last }}'
        )
    {%- endset -%}
    {{ change_elements(
        known, 'case when element = cast(' ~ column ~ ' as ' ~ dbt.type_string() ~ ') then 1 else 0 end'
    ) }}
{%- endmacro %}
