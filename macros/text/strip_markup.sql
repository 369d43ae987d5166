{% macro strip_markup(text) -%}
    {{ replace_matches(text, '<[/!a-zA-Z][^<>]*>|&#?[a-zA-Z0-9]+;', ' ') }}
{%- endmacro %}
