{# The groups of features that patterns name, each with the relation that it reads, as the calling model refers to it. #}
{% macro relate_features(features) -%}
    {%- set groups = [] -%}
    {%- for group in select_features(features) -%}
        {%- do group.update(relation=ref(group.model)) -%}
        {%- if group.through -%}
            {%- do group.through.update(relation=get_path(group)) -%}
        {%- endif -%}
        {%- do groups.append(group) -%}
    {%- endfor -%}
    {{ return(groups) }}
{%- endmacro %}
