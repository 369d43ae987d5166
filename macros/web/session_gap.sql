{% macro session_gap() -%}
    interval '{{ var("session_gap_minutes", 30) }}' minute
{%- endmacro %}
