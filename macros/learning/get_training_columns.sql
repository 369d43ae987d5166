{# Called within a generic test of a training model, as get_key is. Without a graph, while dbt parses, nothing is known. #}
{% macro get_training_columns() -%}
    {%- set found = {
        'key': ['1'], 'time': 'null', 'label': 'null', 'known_at': 'null', 'horizon': none,
        'node': {}, 'label_type': 'boolean', 'features': {},
    } -%}
    {%- if execute -%}
        {%- set trained = graph.nodes[model.attached_node] -%}
        {%- set labels = [] -%}
        {%- for unique_id in trained.depends_on.nodes
            if unique_id in graph.nodes and graph.nodes[unique_id].config.meta.get('label') -%}
            {%- do labels.append(graph.nodes[unique_id]) -%}
        {%- endfor -%}
        {%- if not labels -%}
            {%- do exceptions.raise_compiler_error(
                trained.original_file_path ~ ': ' ~ trained.name ~ ' reads no label model, so nothing says which of its '
                ~ 'columns are features. Fix: read a model with config.meta.label.'
            ) -%}
        {%- endif -%}
        {%- set meta = labels[0].config.meta.label -%}
        {%- do found.update(
            key=trained.config.meta.key, time=meta.time, label=meta.label, known_at=meta.known_at,
            horizon=meta.get('horizon'), node=trained, label_type=trained.columns[meta.label].data_type
        ) -%}
        {%- for column in trained.columns.values()
            if column.name not in labels[0].columns and column.name not in ['fold', 'split'] -%}
            {%- do found.features.update({column.name: (column.data_type or '') | lower}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(found) }}
{%- endmacro %}
