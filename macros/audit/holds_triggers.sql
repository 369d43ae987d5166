{# A file keeps the format in which it was made. The release's format is one that every client opens, and has no triggers. #}
{% macro holds_triggers() -%}
    {%- if not execute -%}
        {{ return(false) }}
    {%- endif -%}
    {%- set found = run_query(
        "select coalesce(tags['storage_version'], 'v2') >= 'v2' from duckdb_databases() "
        ~ "where database_name = current_database()"
    ) -%}
    {{ return(found.rows[0][0]) }}
{%- endmacro %}
