{# The middle of a tie lies between how many come before it and how many up to its end. #}
{% macro score_quintiles(order_by, by, ties='middle') -%}
    {%- set before_it = 'rank() over (partition by ' ~ by ~ ' order by ' ~ order_by ~ ') - 1' -%}
    {%- set up_to_its_end = 'count(*) over (partition by ' ~ by ~ ' order by ' ~ order_by ~ ')' -%}
    cast(1 + floor(
        5 * (
            {{ before_it }}
            + {{ up_to_its_end if ties == 'middle' else before_it }}
        ) / (2.0 * count(*) over (partition by {{ by }}))
    ) as integer)
{%- endmacro %}
