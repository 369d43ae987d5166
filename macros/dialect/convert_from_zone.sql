{% macro convert_from_zone(local_at, zone) -%}
    {{ return(adapter.dispatch('convert_from_zone')(local_at, zone)) }}
{%- endmacro %}

{% macro default__convert_from_zone(local_at, zone) -%}
    timezone('UTC', timezone({{ zone }}, {{ local_at }}))
{%- endmacro %}

{% macro spark__convert_from_zone(local_at, zone) -%}
    to_utc_timestamp({{ local_at }}, {{ zone }})
{%- endmacro %}
