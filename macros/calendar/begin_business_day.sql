{% macro begin_business_day(day) -%}
    {%- set local_at = 'cast(' ~ day ~ ' as timestamp)' -%}
    {%- if var('business_time_zone') == 'UTC' -%}
    {{ local_at }}
    {%- else -%}
    {{ convert_from_zone(local_at, "'" ~ var('business_time_zone') ~ "'") }}
    {%- endif -%}
{%- endmacro %}
