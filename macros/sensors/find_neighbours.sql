{# The last value before a reading and the next one after it, with their times; over the windows before and following. #}
{% macro find_neighbours(value) -%}
            {{ last_known(value) }} over before as last_value,
            {{ last_known('case when ' ~ value ~ ' is not null then at_us end') }}
                over before as last_at_us,
            {{ first_known(value) }} over following as next_value,
            {{ first_known('case when ' ~ value ~ ' is not null then at_us end') }}
                over following as next_at_us
{%- endmacro %}
