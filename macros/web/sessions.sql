{% macro session_gap() -%}
    interval '{{ var("session_gap_minutes", 30) }}' minute
{%- endmacro %}

{% macro allowed_lateness() -%}
    interval '{{ var("allowed_lateness_hours", 72) }}' hour
{%- endmacro %}

{% macro detect_bot_pace(event_count, duration_seconds) -%}
    ({{ event_count }} >= 10 and {{ duration_seconds }} < {{ event_count }} - 1)
{%- endmacro %}

{% macro name_session(visitor_id, started_at) -%}
    {{ visitor_id }} || '-' || cast({{ convert_to_epoch_us(started_at) }} as {{ dbt.type_string() }})
{%- endmacro %}
