{% macro read_hexadecimal(digits) -%}
    {{ return(adapter.dispatch('read_hexadecimal')(digits)) }}
{%- endmacro %}

{% macro default__read_hexadecimal(digits) -%}
    cast('0x' || {{ digits }} as bigint)
{%- endmacro %}

{% macro spark__read_hexadecimal(digits) -%}
    cast(conv({{ digits }}, 16, 10) as bigint)
{%- endmacro %}
