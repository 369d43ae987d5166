{% macro convert_hex_to_number(digits) -%}
    {{ return(adapter.dispatch('convert_hex_to_number')(digits)) }}
{%- endmacro %}

{% macro default__convert_hex_to_number(digits) -%}
    cast('0x' || {{ digits }} as bigint)
{%- endmacro %}

{% macro spark__convert_hex_to_number(digits) -%}
    cast(conv({{ digits }}, 16, 10) as bigint)
{%- endmacro %}
