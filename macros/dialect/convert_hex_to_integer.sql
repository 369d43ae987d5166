{% macro convert_hex_to_integer(digits) -%}
    {{ return(adapter.dispatch('convert_hex_to_integer')(digits)) }}
{%- endmacro %}

{% macro default__convert_hex_to_integer(digits) -%}
    cast('0x' || {{ digits }} as bigint)
{%- endmacro %}

{% macro spark__convert_hex_to_integer(digits) -%}
    cast(conv({{ digits }}, 16, 10) as bigint)
{%- endmacro %}
