{# In the models' own file: what a model holds and what it notes of it change together. #}
{% macro get_incremental_state(table='incremental_state') -%}
    {{ return(api.Relation.create(
        database=target.database, schema=target.schema, identifier=table, type='table'
    )) }}
{%- endmacro %}
