{% macro count_days_past_due(due_date, settled_at, as_of_date) -%}
    greatest(0, {{ dbt.datediff(
        due_date, 'coalesce(' ~ business_date(settled_at) ~ ', ' ~ as_of_date ~ ')', 'day'
    ) }})
{%- endmacro %}
