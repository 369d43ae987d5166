{# Names a category so that null is one too, and equal names are equal categories: '=web', '-'. #}
{% macro name_category(column) -%}
    coalesce('=' || cast({{ column }} as {{ dbt.type_string() }}), '-')
{%- endmacro %}
