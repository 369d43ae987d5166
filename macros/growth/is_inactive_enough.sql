{# Both bounds of a rule: an empty one asks for a day, a customer who never visited needs no other. #}
{% macro is_inactive_enough(customers, day, rules) -%}
    {{ day }} >= {{ add_days(
        customers ~ '.last_order_date', 'coalesce(' ~ rules ~ '.minimum_days_since_order, 1)'
    ) }}
    and (
        {{ customers }}.last_visit_date is null
        or {{ day }} >= {{ add_days(
            customers ~ '.last_visit_date', 'coalesce(' ~ rules ~ '.minimum_days_since_visit, 1)'
        ) }}
    )
{%- endmacro %}
