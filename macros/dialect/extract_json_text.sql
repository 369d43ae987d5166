{% macro extract_json_text(json, path) -%}
    {{ return(adapter.dispatch('extract_json_text')(json, path)) }}
{%- endmacro %}

{% macro default__extract_json_text(json, path) -%}
    json_extract_string({{ json }}, '{{ path }}')
{%- endmacro %}

{% macro spark__extract_json_text(json, path) -%}
    get_json_object({{ json }}, '{{ path }}')
{%- endmacro %}
