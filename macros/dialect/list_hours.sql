{% macro list_hours(first_hour, last_hour) -%}
    {{ return(adapter.dispatch('list_hours')(first_hour, last_hour)) }}
{%- endmacro %}

{% macro default__list_hours(first_hour, last_hour) -%}
    unnest(generate_series({{ first_hour }}, {{ last_hour }}, interval '1' hour))
{%- endmacro %}

{% macro spark__list_hours(first_hour, last_hour) -%}
    explode(
        case
            when {{ first_hour }} <= {{ last_hour }}
                then sequence({{ first_hour }}, {{ last_hour }}, interval '1' hour)
        end
    )
{%- endmacro %}
