{% macro extract_iso_day_of_week(day) -%}
    {{ return(adapter.dispatch('extract_iso_day_of_week')(day)) }}
{%- endmacro %}

{% macro default__extract_iso_day_of_week(day) -%}
    cast(extract(isodow from {{ day }}) as integer)
{%- endmacro %}

{% macro spark__extract_iso_day_of_week(day) -%}
    cast(extract(dayofweek_iso from {{ day }}) as integer)
{%- endmacro %}
