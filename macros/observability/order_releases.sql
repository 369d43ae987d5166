{# A number by which releases are in order: the tenth release of a day comes after the ninth. #}
{% macro order_releases(release_name) -%}
    cast(substr({{ release_name }}, 1, 4) || substr({{ release_name }}, 6, 2) || substr({{ release_name }}, 9, 2)
        || lpad(substr({{ release_name }}, 12), 6, '0') as bigint)
{%- endmacro %}
