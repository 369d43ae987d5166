{#
    Reads what training_set wrote into the compiled SQL of the model: spine, time, features and entity. Adds the SQL of
    the spine, which is all that precedes the last step. That step may read nothing else but seeds and rules, which
    are a part of the definition, since nothing would tell that its rows changed. What an earlier step reads counts
    too where the last one reads that step. Several hooks ask; the model keeps the answer.
#}
{% macro read_training_set() -%}
    {%- if 'training_set' in model -%}
        {{ return(model.training_set) }}
    {%- endif -%}
    {%- set sets = modules.re.findall('/\\* training set: (.*?) \\*/', compiled_code) -%}
    {%- set last_step = '\n' ~ model.name ~ ' as (' -%}
    {%- if sets | length != 1 or '/* training set: ' not in compiled_code.partition(last_step)[2] -%}
        {%- do exceptions.raise_compiler_error(
            model.original_file_path ~ ': ' ~ model.name ~ ' is incremental, so it needs one training_set(…), in a '
            ~ 'last step that is called ' ~ model.name ~ ". Fix: name it so, or take materialized='incremental' out."
        ) -%}
    {%- endif -%}
    {%- set found = fromjson(sets[0]) -%}
    {%- set before, _, step = compiled_code.partition(last_step) -%}
    {%- set around = modules.re.sub('/\\* training set: [\\s\\S]*/\\* end of training set \\*/', ' training_rows ', step) -%}
    {%- do refuse_dependent_rows(around) -%}
    {%- set beside = add_steps_read(around, before) -%}
    {%- for unique_id in model.depends_on.nodes if not unique_id.startswith('seed.') -%}
        {%- set read = graph.nodes.get(unique_id) or graph.sources[unique_id] -%}
        {%- if read.fqn[1:3] != ['warehouse', 'rules'] and (read.relation_name or '-') in beside -%}
            {%- do exceptions.raise_compiler_error(
                model.original_file_path ~ ': ' ~ model.name ~ ' reads ' ~ read.name ~ ' beside its features, so a '
                ~ 'row may change without its spine. Fix: join it to the spine, before training_set(…).'
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do found.update(spine_sql=before.rstrip().rstrip(',') ~ '\n\nselect * from ' ~ found.spine) -%}
    {%- do model.update({'training_set': found}) -%}
    {{ return(found) }}
{%- endmacro %}

{# A step reads only earlier ones, so one pass from the last to the first finds them all. #}
{% macro add_steps_read(sql, steps) -%}
    {%- set parts = modules.re.split('(?mi)^(?:with +(?:recursive +)?)?(\\w+) +as +(?:(?:not +)?materialized +)?\\(', steps) -%}
    {%- set found = [sql] -%}
    {%- for place in range(parts | length - 2, 0, -2) -%}
        {%- set reads = '(?i)\\b(?:from|join)\\s+(?:["\\w.]+(?:\\s+as)?(?:\\s+\\w+)?\\s*,\\s*)*"?'
            ~ parts[place] ~ '\\b"?(?!\\s*\\.)' -%}
        {%- if modules.re.search(reads, found | join('\n')) -%}
            {%- do found.append(parts[place + 1]) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found | join('\n')) }}
{%- endmacro %}
