{# By how much an event changes a total: when it enters, or when it leaves a window. #}
{% macro change_total(amount, value, window_us, enters_us) -%}
    {%- set conditions = [] -%}
    {%- if value.where -%}
        {%- do conditions.append('counts_' ~ value.feature) -%}
    {%- endif -%}
    {%- if value.of -%}
        {%- do conditions.append('of_' ~ value.of ~ ' is not null') -%}
    {%- endif -%}
    {%- if window_us is none and value.window_us is not none -%}
        {%- do conditions.append(enters_us ~ ' < event_us + ' ~ (value.begin_us + value.window_us)) -%}
    {%- endif -%}
    {%- set sign = '-' if window_us is not none else '' -%}
    {%- if window_us is not none and window_us != value.window_us -%}
    0
    {%- elif conditions -%}
    case when {{ conditions | join(' and ') }} then {{ sign }}{{ amount }} else 0 end
    {%- else -%}
    {{ sign }}{{ amount }}
    {%- endif -%}
{%- endmacro %}
