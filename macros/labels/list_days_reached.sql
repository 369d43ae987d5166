{# On the day on which the data reach a day, more may still arrive: the next day is the first that knows all. #}
{% macro list_days_reached(records, happened_at, known_at) -%}
    with days_happened as (

        select
            {{ business_date(happened_at) }} as happened_date,
            {{ add_days(business_date('min(' ~ known_at ~ ')'), '1') }} as known_date
        from {{ records }}
        where {{ happened_at }} > {{ beginning_of_time() }}
        group by {{ business_date(happened_at) }}

    )

    select
        lag(happened_date, 1, cast({{ beginning_of_time() }} as date)) over days as after_date,
        happened_date as until_date,
        min(known_date) over (
            order by happened_date rows between current row and unbounded following
        ) as known_date
    from days_happened
    window days as (order by happened_date)
{%- endmacro %}
