{# While dbt parses, the graph is not there yet: any key will do, the SQL is not run. #}
{% macro get_contract(input) -%}
    {%- set source_name, table_name = input.split('.') -%}
    {%- set relation = source(source_name, table_name) -%}
    {%- set meta = {'key': ['key'], 'load': 'upsert'} -%}
    {%- if execute -%}
        {%- for table in graph.sources.values()
            if table.source_name == source_name and table.name == table_name -%}
            {%- do meta.update(table.config.meta) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return({
        'relation': relation,
        'key': meta['key'],
        'load': meta['load'],
        'cursor': meta.get('cursor') or 'cast(null as timestamp)',
    }) }}
{%- endmacro %}
