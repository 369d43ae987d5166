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
    {%- set groups = relate_features(features) -%}
    {%- if model.get('config', {}).get('materialized') != 'incremental' -%}
    {{ join_features(spine, declared.time, groups, entity or {}, strategy, declared.columns) }}
    {%- else -%}
    {%- set sql = join_features(spine, declared.time, groups, entity or {}, 'range_join', declared.columns) -%}
    {%- set described = {
        'spine': spine | string, 'time': declared.time, 'features': features, 'entity': entity or {},
        'sql': local_md5(sql),
    } -%}
    /* training set: {{ tojson(described) }} */
    {%- set is_part = is_incremental() and was_built_of(described) %}
    {{ join_features(
        spine, declared.time, groups, entity or {}, 'range_join' if is_part else strategy, declared.columns,
        filter_changed_rows()
    ) }}
    /* end of training set */
    {%- endif -%}
    {%- endif -%}
{%- endmacro %}
