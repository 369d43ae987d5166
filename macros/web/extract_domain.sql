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
