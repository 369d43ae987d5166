{% macro mask_date_to_year(column) -%}
    cast(extract(year from {{ column }}) as integer)
{%- endmacro %}
