{#
    A unit test sees no graph, and dbt has none while it parses: then the model's own key and the
    defaults must do.
#}
{% macro get_contract(input, key=none) -%}
    {%- set source_name, table_name = input.split('.') -%}
    {%- set contract = {
        'relation': source(source_name, table_name),
        'key': [key] if key is string else key,
        'load': 'upsert',
        'cursor': 'updated_at',
    } -%}
    {%- for table in (graph.get('sources') or {}).values()
        if execute and table.source_name == source_name and table.name == table_name -%}
        {%- set meta = table.config.meta -%}
        {%- if key is not none and contract.key != meta.key -%}
            {%- do exceptions.raise_compiler_error(
                model.name ~ ' takes ' ~ contract.key | join(', ') ~ ' for the key of ' ~ input
                ~ ', whose contract says ' ~ meta.key | join(', ') ~ '. Change one of them.'
            ) -%}
        {%- endif -%}
        {%- do contract.update(
            key=meta.key, load=meta.get('load', 'append'), cursor=meta.get('cursor') or 'cast(null as timestamp)'
        ) -%}
    {%- endfor -%}
    {{ return(contract) }}
{%- endmacro %}
