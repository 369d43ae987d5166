{% macro allowed_lateness() -%}
    interval '{{ var("allowed_lateness_hours", 72) }}' hour
{%- endmacro %}
