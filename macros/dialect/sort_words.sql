{% macro sort_words(text) -%}
    {{ return(adapter.dispatch('sort_words')(text)) }}
{%- endmacro %}

{% macro default__sort_words(text) -%}
    array_to_string(list_sort(string_split({{ text }}, ' ')), ' ')
{%- endmacro %}

{% macro spark__sort_words(text) -%}
    array_join(array_sort(split({{ text }}, ' ')), ' ')
{%- endmacro %}
