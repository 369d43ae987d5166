{% macro list_aggregate_functions(names) -%}
    {{ return(adapter.dispatch('list_aggregate_functions')(names)) }}
{%- endmacro %}

{% macro default__list_aggregate_functions(names) -%}
    {%- if not names -%}
        {{ return([]) }}
    {%- endif -%}
    {%- set found = run_query(
        "select distinct function_name from duckdb_functions() where function_type = 'aggregate' and function_name in ('"
        ~ names | join("', '") ~ "') order by function_name"
    ) -%}
    {{ return(found.columns[0].values() | list) }}
{%- endmacro %}
