{# What stands behind ? and # is left out, and so are parts of a path that hold an address. #}
{% macro mask_url_to_path(column) -%}
    {%- set address = "split_part(split_part(" ~ column ~ ", '#', 1), '?', 1)" -%}
    {%- set path = replace_matches(address, '^(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?//[^/]*', '') -%}
    case
        when trim({{ column }}) = ''
            then null
        when position('@' in {{ column }}) > 0 or position('%40' in {{ column }}) > 0
            then coalesce(
                nullif({{ replace_matches(path, '[^/]*(?:@|%40)[^/]*', '*') }}, ''), '/'
            )
        when {{ column }} is not null
            then coalesce(nullif({{ path }}, ''), '/')
    end
{%- endmacro %}
