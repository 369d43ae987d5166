{#
    dbt has no graph while it parses: then only the models before the dots are known, which is all
    that it needs to order the build.
#}
{% macro training_set(spine, features, key=none, time=none, entity=none, strategy=none) -%}
    {%- set relations = {} -%}
    {%- for feature in features -%}
        {%- do relations.update({feature.split('.')[0]: ref(feature.split('.')[0])}) -%}
    {%- endfor -%}
    {%- if not execute -%}
    select * from {{ spine }}
    {%- else -%}
    {%- set declared = get_spine(spine, key, time) -%}
    {%- set groups = [] -%}
    {%- for group in select_features(features) -%}
        {%- do group.update(relation=relations[group.model]) -%}
        {%- if group.through -%}
            {%- do group.through.update(relation=get_path(group)) -%}
        {%- endif -%}
        {%- do groups.append(group) -%}
    {%- endfor -%}
    {{ join_features(spine, declared.time, groups, entity or {}, strategy, declared.columns) }}
    {%- endif -%}
{%- endmacro %}
