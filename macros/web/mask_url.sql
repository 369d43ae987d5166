{# What stands behind ? and # is left out, and so are parts of a path that hold an address. #}
{% macro mask_url_to_path(column) -%}
    {%- set path -%}
        regexp_extract(
            trim({{ column }}), '^(?:[a-zA-Z][a-zA-Z0-9+.-]*:)?(?://[^/?#]*)?([^?#]*)', 1
        )
    {%- endset -%}
    case
        when trim({{ column }}) <> ''
            then coalesce(
                nullif({{ replace_pattern(path, '[^/]*(@|%40)[^/]*', '*') }}, ''), '/'
            )
    end
{%- endmacro %}

{% macro extract_domain(column) -%}
    nullif(
        regexp_extract(
            lower(trim({{ column }})),
            '^[a-z][a-z0-9+.-]*://(?:[^/?#@]*@)?(?:www[.])?([^/?#:]+)',
            1
        ),
        ''
    )
{%- endmacro %}
