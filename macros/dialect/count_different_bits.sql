{% macro count_different_bits(one, other) -%}
    {{ return(adapter.dispatch('count_different_bits')(one, other)) }}
{%- endmacro %}

{% macro default__count_different_bits(one, other) -%}
    cast(bit_count(xor({{ one }}, {{ other }})) as integer)
{%- endmacro %}

{% macro spark__count_different_bits(one, other) -%}
    bit_count({{ one }} ^ {{ other }})
{%- endmacro %}
