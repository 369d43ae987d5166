{# The rules that a customer meets on a day; of several, the one with the least priority is the state. #}
{% macro is_rule_met(customers, day, rules) -%}
    {{ is_inactive_enough(customers, day, rules) }}
    and (
        {{ rules }}.maximum_days_since_start is null
        or {{ day }} <= {{ add_days(
            customers ~ '.start_date', rules ~ '.maximum_days_since_start'
        ) }}
    )
    and (
        {{ rules }}.is_after_return is null
        or {{ rules }}.is_after_return
        = ({{ customers }}.start_date > {{ customers }}.first_order_date)
    )
{%- endmacro %}
