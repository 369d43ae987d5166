{# The latest day is still open: what came after it is part of what its mart knows. #}
{% macro bound_moment(as_of, changes) -%}
    with days as (

        select
            {{ as_of }} as as_of,
            {{ business_date(as_of ~ " - interval '1' microsecond") }} as last_date,
            (select {{ business_date('max(valid_from)') }} from {{ changes }}) as latest_date

    )

    select
        case when last_date >= latest_date then {{ end_of_time() }} else as_of end as known_before,
        case when latest_date is not null then least(last_date, latest_date) end as as_of_date
    from days
{%- endmacro %}
