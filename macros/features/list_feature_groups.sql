{# The groups of features that a model declares, read and checked. #}
{% macro list_feature_groups(model_name) -%}
    {%- set groups = [] -%}
    {%- for node in graph.nodes.values()
        if node.name == model_name and node.resource_type in ['model', 'seed', 'snapshot'] -%}
        {%- set declared = node.config.meta.get('features') or [] -%}
        {%- for group in ([declared] if declared is mapping else declared) -%}
            {%- do groups.append(read_feature_group(node, group)) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ return(groups) }}
{%- endmacro %}
