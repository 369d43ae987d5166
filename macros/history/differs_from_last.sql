{% macro differs_from_last(columns, over) -%}
    {%- for column in columns -%}
    {%- if not loop.first %}
    or {% endif -%}
    ({{ column }} is distinct from lag({{ column }}) over {{ over }})
    {%- endfor -%}
{%- endmacro %}
