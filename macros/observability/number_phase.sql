{# The place of a unit in its season. Weeks have no season here: a year of them would have to be seen several times. #}
{% macro number_phase(unit_at, every) -%}
    {%- if every == 'hour' -%}
        extract(hour from {{ unit_at }})
    {%- elif every == 'day' -%}
        {{ extract_iso_day_of_week(unit_at) }}
    {%- elif every == 'month' -%}
        extract(month from {{ unit_at }})
    {%- else -%}
        0
    {%- endif -%}
{%- endmacro %}
