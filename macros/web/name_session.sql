{% macro name_session(visitor_id, started_at) -%}
    {{ visitor_id }} || '-'
    || cast({{ convert_to_epoch_us(started_at) }} as {{ dbt.type_string() }})
{%- endmacro %}
