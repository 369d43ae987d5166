{% macro count_matches(text, pattern) -%}
    {{ return(adapter.dispatch('count_matches')(text, pattern)) }}
{%- endmacro %}

{% macro default__count_matches(text, pattern) -%}
    len(regexp_extract_all({{ text }}, '{{ pattern }}'))
{%- endmacro %}

{% macro spark__count_matches(text, pattern) -%}
    cast(regexp_count({{ text }}, '{{ pattern | replace('\\', '\\\\') }}') as bigint)
{%- endmacro %}
