{# In the models' own file: what a model holds and what it notes of it change together. #}
{% macro get_incremental_state() -%}
    {{ return(api.Relation.create(
        database=target.database, schema=target.schema, identifier='incremental_state', type='table'
    )) }}
{%- endmacro %}
