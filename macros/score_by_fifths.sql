{% macro score_by_fifths(order_by, by) -%}
    cast(least(5, 1 + floor(5 * percent_rank() over (
        partition by {{ by }}
        order by {{ order_by }}
    ))) as integer)
{%- endmacro %}
