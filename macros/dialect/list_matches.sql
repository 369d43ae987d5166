{% macro list_matches(text, pattern) -%}
    {{ return(adapter.dispatch('list_matches')(text, pattern)) }}
{%- endmacro %}

{% macro default__list_matches(text, pattern) -%}
    regexp_extract_all({{ text }}, '{{ pattern }}')
{%- endmacro %}

{# A backslash in a text is written twice there. #}
{% macro spark__list_matches(text, pattern) -%}
    regexp_extract_all({{ text }}, '{{ pattern | replace('\\', '\\\\') }}', 0)
{%- endmacro %}
