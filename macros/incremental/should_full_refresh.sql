{# dbt's own looks at the flag alone, and fails where a table has other columns than its model. #}
{% macro should_full_refresh() -%}
    {%- set wanted = config.get('full_refresh') -%}
    {{ return(flags.FULL_REFRESH or has_other_columns() if wanted is none else wanted) }}
{%- endmacro %}

{# Asked several times of a model, also when its table was swapped already: the first answer counts. #}
{% macro has_other_columns() -%}
    {%- if not execute or flags.EMPTY or model.config.materialized != 'incremental' -%}
        {{ return(false) }}
    {%- endif -%}
    {%- if 'has_other_columns' not in model -%}
        {%- set standing = adapter.get_relation(this.database, this.schema, this.table) -%}
        {%- set is_comparable = standing is not none and model.config.contract.enforced -%}
        {%- do model.update({'has_other_columns': is_comparable and
            list_column_types('select * from ' ~ standing)
            != list_column_types(get_empty_schema_sql(model.columns))
        }) -%}
    {%- endif -%}
    {{ return(model.has_other_columns) }}
{%- endmacro %}

{% macro list_column_types(query) -%}
    {%- set types = [] -%}
    {%- for column in get_column_schema_from_query(query) -%}
        {%- do types.append(column.name | lower ~ ' ' ~ column.dtype) -%}
    {%- endfor -%}
    {{ return(types | sort) }}
{%- endmacro %}
