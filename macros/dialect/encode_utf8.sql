{% macro encode_utf8(text) -%}
    {{ return(adapter.dispatch('encode_utf8')(text)) }}
{%- endmacro %}

{% macro default__encode_utf8(text) -%}
    encode({{ text }})
{%- endmacro %}

{% macro spark__encode_utf8(text) -%}
    encode({{ text }}, 'UTF-8')
{%- endmacro %}
