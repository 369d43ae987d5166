{#
    If only a few persons have a rare value, their having none would tell them apart as well: then
    the rarest of the common values goes too, and they are at least as many as that has.
#}
{% macro suppress_rare_values(relation, column, person, minimum) -%}
    with values_counted as (

        select
            {{ column }},
            {{ column }} is null or count(distinct {{ person }}) < {{ minimum }} as is_rare,
            row_number() over (
                order by
                    {{ column }} is null or count(distinct {{ person }}) < {{ minimum }},
                    count(distinct {{ person }}),
                    {{ column }}
            ) as place
        from {{ relation }}
        group by {{ column }}

    ),

    persons_with_rare_values as (

        select count(distinct {{ relation }}.{{ person }}) as person_count
        from {{ relation }}
        left join values_counted on {{ relation }}.{{ column }} = values_counted.{{ column }}
        where coalesce(values_counted.is_rare, true)

    ),

    values_kept as (

        select values_counted.{{ column }}
        from values_counted
        cross join persons_with_rare_values
        where
            not values_counted.is_rare
            and (
                values_counted.place > 1
                or persons_with_rare_values.person_count = 0
                or persons_with_rare_values.person_count >= {{ minimum }}
            )

    )

    select
        {{ relation }}.*,
        values_kept.{{ column }} as {{ column }}_kept
    from {{ relation }}
    left join values_kept on {{ relation }}.{{ column }} = values_kept.{{ column }}
{%- endmacro %}
