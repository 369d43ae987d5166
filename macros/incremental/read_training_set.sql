{#
    Reads what training_set wrote into the compiled SQL of the model: spine, time, features and entity. Adds the SQL of
    the spine, which is all that precedes the last step. That step may read nothing else but seeds and rules, which
    are a part of the definition, since nothing would tell that its rows changed.
#}
{% macro read_training_set() -%}
    {%- set sets = modules.re.findall('/\\* training set: (.*?) \\*/', compiled_code) -%}
    {%- set last_step = '\n' ~ model.name ~ ' as (' -%}
    {%- if sets | length != 1 or last_step not in compiled_code -%}
        {%- do exceptions.raise_compiler_error(
            model.original_file_path ~ ': ' ~ model.name ~ ' is incremental, so it needs one training_set(…), in a '
            ~ 'last step that is called ' ~ model.name ~ ". Fix: name it so, or take materialized='incremental' out."
        ) -%}
    {%- endif -%}
    {%- set found = fromjson(sets[0]) -%}
    {%- set before, _, step = compiled_code.partition(last_step) -%}
    {%- set around = modules.re.sub('/\\* training set: [\\s\\S]*/\\* end of training set \\*/', '', step) -%}
    {%- for unique_id in model.depends_on.nodes
        if unique_id.startswith('model.') and graph.nodes[unique_id].fqn[1:3] != ['warehouse', 'rules']
        and (graph.nodes[unique_id].relation_name or '-') in around -%}
        {%- do exceptions.raise_compiler_error(
            model.original_file_path ~ ': ' ~ model.name ~ ' reads ' ~ graph.nodes[unique_id].name ~ ' beside its '
            ~ 'features, so a row may change without its spine. Fix: join it to the spine, before training_set(…).'
        ) -%}
    {%- endfor -%}
    {%- do found.update(spine_sql=before.rstrip().rstrip(',') ~ '\n\nselect * from ' ~ found.spine) -%}
    {{ return(found) }}
{%- endmacro %}
