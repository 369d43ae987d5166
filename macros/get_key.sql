{# Called within a generic test, whose node names the model, source or seed it is attached to. #}
{% macro get_key() -%}
    {%- set key = ['1'] -%}
    {%- if execute -%}
        {%- set tested = graph.nodes.get(model.attached_node) or graph.sources.get(model.attached_node) -%}
        {%- set key = tested.config.meta['key'] -%}
    {%- endif -%}
    {{ return(key) }}
{%- endmacro %}
