{# Whether a row of list_days_reached is that of a day: each row covers the days after one, until another. #}
{% macro covers_day(days_reached, day) -%}
    {{ day }} > {{ days_reached }}.after_date
    and {{ day }} <= {{ days_reached }}.until_date
{%- endmacro %}
