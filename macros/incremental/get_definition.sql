{#
    What the rows follow from besides the inputs: the model's own SQL, the seeds and the tables of
    rules that it joins, what the same is of incremental models that it reads, as they note it, and,
    since any of its inputs may hold pseudonyms, which key they were made with. Of a training set its description counts,
    since its SQL depends on the number of rows too.
#}
{% macro get_definition() -%}
    {%- set code = modules.re.sub(
        '(/\\* training set: [^\n]*)[\\s\\S]*?/\\* end of training set \\*/', '\\1', compiled_code or ''
    ) -%}
    {%- set parts = [modules.re.sub(get_affected_filter_pattern(), '', code)] -%}
    {%- for unique_id in model.depends_on.nodes | sort if unique_id.startswith('seed.') -%}
        {%- do parts.append(graph.nodes[unique_id].checksum.checksum) -%}
    {%- endfor -%}
    {%- for unique_id in model.depends_on.nodes | sort if unique_id.startswith('model.') -%}
        {%- set read = graph.nodes[unique_id] -%}
        {%- if read.config.materialized == 'incremental' -%}
            {%- set noted -%}
                select min(definition) from {{ get_incremental_state() }} where model = '{{ read.name }}'
            {%- endset -%}
            {%- do parts.append(run_query(noted).rows[0][0] or '') -%}
        {%- elif read.fqn[1:3] == ['warehouse', 'rules'] -%}
            {%- do parts.append(run_query(
                'select ' ~ hash_rows('rules') ~ ' from ' ~ read.relation_name ~ ' as rules'
            ).rows[0][0] or '') -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do parts.append(get_pseudonym_key_fingerprint()) -%}
    {{ return(local_md5(parts | join(' '))) }}
{%- endmacro %}
