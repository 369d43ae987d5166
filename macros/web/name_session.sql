{% macro name_session(visitor_id, started_at, tracker_session_id='null') -%}
    {{ visitor_id }} || coalesce(
        '-tracker-' || {{ tracker_session_id }},
        '-' || cast({{ convert_to_epoch_us(started_at) }} as {{ dbt.type_string() }})
    )
{%- endmacro %}
