{% macro fit_categories(relation, columns, where='true', minimum_count=1) -%}
    with categories_listed as (

        {{ list_categories(relation, columns, where) }}

    ),

    categories_counted as (

        select
            _column_name as column_name,
            _category as category,
            count(*) as row_count,
            cast(count(*) as double) / sum(count(*)) over (partition by _column_name) as share
        from categories_listed
        where _column_name is not null and _category is not null
        group by _column_name, _category

    )

    select
        column_name,
        category,
        row_number() over (
            partition by column_name
            order by category
        ) as category_number,
        row_count,
        share
    from categories_counted
    where row_count >= {{ minimum_count }}
{%- endmacro %}
