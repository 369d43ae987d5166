{% macro detect_bot_pace(event_count, duration_seconds) -%}
    (
        {{ event_count }} >= {{ var('bot_minimum_events') }}
        and {{ duration_seconds }}
        < {{ var('bot_maximum_pause_seconds') }} * ({{ event_count }} - 1)
    )
{%- endmacro %}
