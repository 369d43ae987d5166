{% macro most_contents_of_a_hash() -%}
    50
{%- endmacro %}
