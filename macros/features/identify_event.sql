{# The id of an event; that of several columns is their text, and null if one is null. #}
{% macro identify_event(columns) -%}
    {%- set columns = [columns] if columns is string else columns -%}
    {%- if columns | length == 1 -%}
    {{ columns[0] }}
    {%- else -%}
    {%- for column in columns -%}
    cast({{ column }} as {{ dbt.type_string() }}){{ " || '/' || " if not loop.last }}
    {%- endfor -%}
    {%- endif -%}
{%- endmacro %}
