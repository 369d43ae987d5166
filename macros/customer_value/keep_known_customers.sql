{% macro keep_known_customers(lines, customers) -%}
    select {{ lines }}.*
    from {{ lines }}
    inner join {{ customers }}
        on
            {{ lines }}.customer_id = {{ customers }}.customer_id
            and {{ customers }}.is_current
            and not {{ customers }}.is_deleted
{%- endmacro %}
