{% macro detect_bot_pace(event_count, duration_seconds) -%}
    ({{ event_count }} >= 10 and {{ duration_seconds }} < {{ event_count }} - 1)
{%- endmacro %}
