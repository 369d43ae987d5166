{#
    The time of a spine, from the arguments or from config.meta.label or config.meta.spine of its model. The name of
    a relation is that of its model, also in a unit test, where a prefix is before it.
#}
{% macro get_spine(spine, key=none, time=none) -%}
    {%- set name = (spine.identifier or '') if spine is not string else '' -%}
    {%- set found = {'time': time, 'key': key, 'columns': []} -%}
    {%- for node in graph.nodes.values()
        if name and node.resource_type in ['model', 'seed', 'snapshot'] and (node.alias or node.name) == name -%}
        {%- set meta = node.config.meta.get('label') or node.config.meta.get('spine') or {} -%}
        {%- do found.update(
            time=time or meta.get('time'), key=key or meta.get('key'), columns=node.columns.keys() | list
        ) -%}
    {%- endfor -%}
    {%- if not found.time -%}
        {%- do exceptions.raise_compiler_error(
            model.name ~ ' makes a training set of ' ~ spine ~ ', but nothing says at which time a row of it '
            ~ 'is. Fix: write config.meta.label or config.meta.spine with time in its YAML, or training_set(…, '
            ~ "time='as_of')."
        ) -%}
    {%- endif -%}
    {%- for column in [found.time] + ([found.key] if found.key is string else found.key or []) -%}
        {%- if found.columns and column not in found.columns -%}
            {%- do exceptions.raise_compiler_error(
                model.name ~ ' makes a training set of ' ~ name ~ ', which has no column ' ~ column
                ~ '. Its columns are ' ~ found.columns | join(', ') ~ '.'
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}
