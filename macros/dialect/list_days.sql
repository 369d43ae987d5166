{% macro list_days(first_day, last_day) -%}
    {{ return(adapter.dispatch('list_days')(first_day, last_day)) }}
{%- endmacro %}

{% macro default__list_days(first_day, last_day) -%}
    cast(unnest(generate_series({{ first_day }}, {{ last_day }}, interval '1' day)) as date)
{%- endmacro %}

{% macro spark__list_days(first_day, last_day) -%}
    explode(sequence(cast({{ first_day }} as date), cast({{ last_day }} as date), interval '1' day))
{%- endmacro %}
