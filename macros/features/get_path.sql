{# The model of a group's path. dbt must know it before the declarations are read. #}
{% macro get_path(group) -%}
    {%- set reached = [] -%}
    {%- for unique_id in model.depends_on.nodes if unique_id.split('.')[2] == group.through.model -%}
        {%- do reached.append(unique_id) -%}
        {%- if not group.through.get('backfill') and '_is_backfill' in graph.nodes[unique_id].columns -%}
            {%- do group.through.update(backfill='_is_backfill') -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if not reached -%}
        {%- do exceptions.raise_compiler_error(
            model.name ~ ' uses features of ' ~ group.model ~ ', which reach their entity through '
            ~ group.through.model ~ '. Fix: write this line above the call, so that dbt builds it first: '
            ~ "-- depends_on: {{ ref('" ~ group.through.model ~ "') }}"
        ) -%}
    {%- endif -%}
    {{ return(ref(group.through.model)) }}
{%- endmacro %}
