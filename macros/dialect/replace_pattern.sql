{% macro replace_pattern(text, pattern, by='') -%}
    {{ return(adapter.dispatch('replace_pattern')(text, pattern, by)) }}
{%- endmacro %}

{% macro default__replace_pattern(text, pattern, by='') -%}
    regexp_replace({{ text }}, '{{ pattern }}', '{{ by }}', 'g')
{%- endmacro %}

{% macro spark__replace_pattern(text, pattern, by='') -%}
    regexp_replace({{ text }}, r'{{ pattern }}', '{{ by }}')
{%- endmacro %}
