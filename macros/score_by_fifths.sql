{# The middle of a tie lies between how many come before it and how many up to its end. #}
{% macro score_by_fifths(order_by, by) -%}
    cast(1 + floor(
        5 * (
            rank() over (partition by {{ by }} order by {{ order_by }}) - 1
            + count(*) over (partition by {{ by }} order by {{ order_by }})
        ) / (2.0 * count(*) over (partition by {{ by }}))
    ) as integer)
{%- endmacro %}
