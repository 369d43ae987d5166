{# A number by which releases are in order: the tenth release of a day comes after the ninth. #}
{% macro order_releases(release_name) -%}
    cast(
        replace(substr({{ release_name }}, 1, 10), '-', '')
        || lpad(substr({{ release_name }}, 12), 6, '0') as bigint
    )
{%- endmacro %}
