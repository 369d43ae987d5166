{# All columns in one scan, each row once a column, and once more, without one, for all rows. #}
{% macro list_categories(relation, columns, where='true', label='1') -%}
    select
        columns_named._column_name,
        case columns_named._column_name
            {%- for column in columns %}
            when '{{ column }}' then cast({{ column }} as {{ dbt.type_string() }})
            {%- endfor %}
        end as _category,
        {{ label }} as _label
    from {{ relation }}
    cross join (
        {%- for column in columns %}
        select '{{ column }}' as _column_name
        union all
        {%- endfor %}
        select null as _column_name
    ) as columns_named
    where {{ where }}
{%- endmacro %}
