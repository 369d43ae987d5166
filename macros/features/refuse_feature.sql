{# The error of a declaration, which names its file, its model and its value. #}
{% macro refuse_feature(node, group, text, value=none) -%}
    {%- set entity = group.get('entity') or 'without entity' -%}
    {%- set name = group.get('name') or (entity if entity is string else entity | join(', ')) -%}
    {%- set file = (node.patch_path or node.original_file_path).split('://')[-1] -%}
    {%- do exceptions.raise_compiler_error(
        file ~ ': ' ~ node.name ~ ' declares features of ' ~ name ~ (', ' ~ value if value) ~ ': ' ~ text
        ~ '. Fix config.meta.features there; python -m flows features lists what is declared.'
    ) -%}
{%- endmacro %}
