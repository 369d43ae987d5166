{% macro measure_similarity(left_text, right_text) -%}
    {{ return(adapter.dispatch('measure_similarity')(left_text, right_text)) }}
{%- endmacro %}

{% macro default__measure_similarity(left_text, right_text) -%}
    jaro_winkler_similarity({{ left_text }}, {{ right_text }})
{%- endmacro %}

{% macro spark__measure_similarity(left_text, right_text) -%}
    1 - levenshtein({{ left_text }}, {{ right_text }})
    / greatest(length({{ left_text }}), length({{ right_text }}), 1)
{%- endmacro %}
