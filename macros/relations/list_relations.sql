{# Each relation of var relations twice: as the record that names another sees it, and the other way. #}
{% macro list_relations() -%}
    {%- set found = [] -%}
    {%- for relation in var('relations') -%}
        {%- set field = relation.field or relation.column -%}
        {%- do found.append({
            'table': relation.table, 'column': relation.column, 'counterpart': relation.to, 'field': field,
            'missing_from': relation.missing_from, 'is_needed': true, 'with_deleted': not relation.missing_from,
        }) -%}
        {%- do found.append({
            'table': relation.to, 'column': field, 'counterpart': relation.table, 'field': relation.column,
            'missing_from': none, 'is_needed': relation.each_has_one or false, 'with_deleted': false,
        }) -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}
