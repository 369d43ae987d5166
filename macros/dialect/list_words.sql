{% macro list_words(text) -%}
    {{ return(adapter.dispatch('list_words')(text)) }}
{%- endmacro %}

{% macro default__list_words(text) -%}
    unnest(string_split({{ text }}, ' '))
{%- endmacro %}

{% macro spark__list_words(text) -%}
    explode(split({{ text }}, ' '))
{%- endmacro %}
