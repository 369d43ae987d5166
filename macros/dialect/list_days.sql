{% macro list_days(first_day, last_day) -%}
    {{ return(adapter.dispatch('list_days')(first_day, last_day)) }}
{%- endmacro %}

{% macro default__list_days(first_day, last_day) -%}
    cast(unnest(generate_series({{ first_day }}, {{ last_day }}, interval '1' day)) as date)
{%- endmacro %}

{% macro spark__list_days(first_day, last_day) -%}
    explode(sequence({{ first_day }}, {{ last_day }}, interval '1' day))
{%- endmacro %}
