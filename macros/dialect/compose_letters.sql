{% macro compose_letters(text) -%}
    {{ return(adapter.dispatch('compose_letters')(text)) }}
{%- endmacro %}

{% macro default__compose_letters(text) -%}
    nfc_normalize({{ text }})
{%- endmacro %}
