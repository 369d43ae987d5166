{#
    The newest unit may be open: its rows are compared with those that came as early in the units before. The first
    hours of a day have another mix than a whole day.
#}
{% macro fits_open_unit(at, every, model) -%}
    {%- set newest = 'max(' ~ at ~ ')' -%}
    {{ count_hours(begin_unit(at, every), 'cast(' ~ at ~ ' as timestamp)') }} <= (
        select {{ count_hours(begin_unit(newest, every), 'cast(' ~ newest ~ ' as timestamp)') }}
        from {{ model }}
    )
{%- endmacro %}
