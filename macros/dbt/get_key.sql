{# Called within a generic test, whose node names the model, source or seed it is attached to. #}
{% macro get_key() -%}
    {%- set key = ['1'] -%}
    {%- if execute -%}
        {%- set tested = model.attached_node or model.depends_on.nodes | first -%}
        {%- set key = (graph.nodes.get(tested) or graph.sources.get(tested)).config.meta.key -%}
    {%- endif -%}
    {{ return(key) }}
{%- endmacro %}
