{% macro share_a_word(left_text, right_text) -%}
    {{ return(adapter.dispatch('share_a_word')(left_text, right_text)) }}
{%- endmacro %}

{% macro default__share_a_word(left_text, right_text) -%}
    list_has_any(string_split({{ left_text }}, ' '), string_split({{ right_text }}, ' '))
{%- endmacro %}

{% macro spark__share_a_word(left_text, right_text) -%}
    arrays_overlap(split({{ left_text }}, ' '), split({{ right_text }}, ' '))
{%- endmacro %}
