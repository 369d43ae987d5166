{% macro hash_texts(expressions) -%}
    {{ return(adapter.dispatch('hash_texts')(expressions)) }}
{%- endmacro %}

{% macro default__hash_texts(expressions) -%}
    cast(hash(
        {%- for expression in expressions %}
        cast({{ expression }} as varchar){{ ',' if not loop.last }}
        {%- endfor %}
    ) // 2 as bigint)
{%- endmacro %}

{% macro spark__hash_texts(expressions) -%}
    (xxhash64(
        {%- for expression in expressions %}
        cast({{ expression }} as string){{ ',' if not loop.last }}
        {%- endfor %}
    ) & 9223372036854775807)
{%- endmacro %}
