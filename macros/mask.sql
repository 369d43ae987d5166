{% macro mask_date_to_year(column) -%}
    cast(extract(year from {{ column }}) as integer)
{%- endmacro %}

{% macro mask_postcode_to_area(column) -%}
    nullif(upper(substring(trim({{ column }}), 1, 2)), '')
{%- endmacro %}

{% macro mask_text_to_presence(column) -%}
    coalesce(trim({{ column }}) <> '', false)
{%- endmacro %}
