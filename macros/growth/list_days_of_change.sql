{% macro list_days_of_change(pauses, rules) -%}
    select
        pauses.*,
        greatest({{ add_days('pauses.active_date', '1') }}, pauses.known_from_date) as valid_from
    from {{ pauses }} as pauses

    {%- for date, days in [
        ('last_order_date', 'minimum_days_since_order'),
        ('last_visit_date', 'minimum_days_since_visit'),
        ('start_date', 'maximum_days_since_start + 1'),
    ] %}

    union all

    select
        pauses.*,
        {{ add_days('pauses.' ~ date, 'rules.' ~ days) }} as valid_from
    from {{ pauses }} as pauses
    cross join {{ rules }} as rules
    {%- endfor %}
{%- endmacro %}
