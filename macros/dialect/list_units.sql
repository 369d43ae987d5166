{% macro list_units(first, last, every) -%}
    {{ return(adapter.dispatch('list_units')(first, last, every)) }}
{%- endmacro %}

{% macro default__list_units(first, last, every) -%}
    unnest(generate_series({{ first }}, {{ last }}, interval '1' {{ every }}))
{%- endmacro %}

{% macro spark__list_units(first, last, every) -%}
    explode(case when {{ first }} <= {{ last }} then sequence({{ first }}, {{ last }}, interval '1' {{ every }}) end)
{%- endmacro %}
