{# A day, week or month is told by its first day. #}
{% macro name_unit(unit_at, every) -%}
    {%- if every == 'hour' -%}
        cast({{ unit_at }} as varchar)
    {%- else -%}
        cast(cast({{ unit_at }} as date) as varchar)
    {%- endif -%}
{%- endmacro %}
