{#- Gauss's rule with its two exceptions, for the years 1900 to 2099. -#}
{% macro compute_easter_sunday(year) -%}
    {%- set moon_days = '((19 * (' ~ year ~ ' % 19) + 24) % 30)' -%}
    {%- set sunday_days -%}
        ((2 * ({{ year }} % 4) + 4 * ({{ year }} % 7) + 6 * {{ moon_days }} + 5) % 7)
    {%- endset -%}
    cast({{ dbt.dateadd(
        'day',
        moon_days ~ ' + ' ~ sunday_days ~ ' - case when ' ~ sunday_days ~ ' = 6 and (' ~ moon_days ~ ' = 29 or ('
        ~ moon_days ~ ' = 28 and ' ~ year ~ ' % 19 > 10)) then 7 else 0 end',
        'make_date(' ~ year ~ ', 3, 22)'
    ) }} as date)
{%- endmacro %}
