{% macro convert_to_zone(at, zone) -%}
    {{ return(adapter.dispatch('convert_to_zone')(at, zone)) }}
{%- endmacro %}

{% macro default__convert_to_zone(at, zone) -%}
    timezone({{ zone }}, timezone('UTC', {{ at }}))
{%- endmacro %}

{% macro spark__convert_to_zone(at, zone) -%}
    from_utc_timestamp({{ at }}, {{ zone }})
{%- endmacro %}
