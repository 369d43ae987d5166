{% macro mask_postcode_to_area(column) -%}
    nullif(upper(substring(trim({{ column }}), 1, 2)), '')
{%- endmacro %}
