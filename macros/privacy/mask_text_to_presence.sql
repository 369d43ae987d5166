{% macro mask_text_to_presence(column) -%}
    coalesce(trim({{ column }}) <> '', false)
{%- endmacro %}
