{# The part of all entities that an entity belongs to. A thousandth of the rows is built again if one entity changed. #}
{% macro number_part(entity) -%}
    {{ hash_texts(entity) }} % 1000
{%- endmacro %}
