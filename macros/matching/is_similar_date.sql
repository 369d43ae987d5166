{% macro is_similar_date(one, peer) -%}
    (
        cast(day({{ one }}) = day({{ peer }}) as integer)
        + cast(month({{ one }}) = month({{ peer }}) as integer)
        + cast(year({{ one }}) = year({{ peer }}) as integer) = 2
        or (
            day({{ one }}) = month({{ peer }})
            and month({{ one }}) = day({{ peer }})
            and year({{ one }}) = year({{ peer }})
        )
    )
{%- endmacro %}
