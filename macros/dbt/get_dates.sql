{# Called within a generic test, as get_key is. #}
{% macro get_dates() -%}
    {%- set dates = [] -%}
    {%- if execute -%}
        {%- for column in graph.nodes[model.attached_node].columns.values()
            if column.data_type.startswith(('date', 'time')) -%}
            {%- do dates.append(column.name) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(dates) }}
{%- endmacro %}
