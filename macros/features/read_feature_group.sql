{#
    A declared group with all that the SQL needs: times in microseconds, types of columns, one value per window. What
    is wrong is an error that names file, model and value.
#}
{% macro read_feature_group(node, declared) -%}
    {%- set known = [
        'name', 'entity', 'event_id', 'event_time', 'available_at', 'available_delay', 'backfill', 'lateness',
        'where', 'delay', 'ttl', 'closed', 'through', 'valid_from', 'valid_to', 'owner', 'values', 'description',
    ] -%}
    {%- for name in declared if name not in known -%}
        {%- do refuse_feature(node, declared, "'" ~ name ~ "' is no field. Fields are " ~ known | join(', ')) -%}
    {%- endfor -%}
    {%- set types = {} -%}
    {%- for column in node.columns.values() -%}
        {%- do types.update({column.name: (column.data_type or '') | lower}) -%}
    {%- endfor -%}
    {%- set through = declared.get('through') -%}
    {%- set entity = [declared.entity] if declared.get('entity') is string else declared.get('entity') or [] -%}
    {%- set is_as_of = 'valid_from' in declared -%}
    {%- for field in ['values'] + (['valid_to'] if is_as_of else ['event_id', 'event_time']) -%}
        {%- if not declared.get(field) -%}
            {%- do refuse_feature(node, declared, field ~ ' is missing') -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if not entity -%}
        {%- do refuse_feature(node, declared, 'entity is missing') -%}
    {%- endif -%}
    {%- set backfill = declared.get('backfill') or ('_is_backfill' if '_is_backfill' in types) -%}
    {%- set fields = {} -%}
    {%- set event_id = declared.get('event_id') or [] -%}
    {%- set event_id = [event_id] if event_id is string else event_id -%}
    {%- for column in event_id -%}
        {%- do require_feature_column(node, declared, 'event_id', column, types) -%}
    {%- endfor -%}
    {%- for field in ['event_time', 'available_at', 'valid_from', 'valid_to'] if declared.get(field) -%}
        {%- do fields.update({field: declared[field]}) -%}
    {%- endfor -%}
    {%- if declared.get('backfill') -%}
        {%- do fields.update(backfill=backfill) -%}
    {%- endif -%}
    {%- for field, column in fields.items() -%}
        {%- do require_feature_column(node, declared, field, column, types) -%}
    {%- endfor -%}
    {%- set own = ([through['from']] if through['from'] is string else through['from']) if through else entity -%}
    {%- for column in own -%}
        {%- do require_feature_column(node, declared, 'from' if through else 'entity', column, types) -%}
    {%- endfor -%}
    {%- set group = {
        'model': node.name,
        'name': declared.get('name') or entity | map('replace', '_id', '') | join('_'),
        'entity': entity,
        'event_id': event_id,
        'event_time': declared.get('event_time'),
        'available_at': declared.get('available_at'),
        'available_delay_us': read_feature_duration(node, declared, 'available_delay', declared) or 0,
        'backfill': backfill,
        'lateness_us': read_feature_duration(node, declared, 'lateness', declared),
        'where': declared.get('where'),
        'through': dict(through) if through,
        'valid_from': declared.get('valid_from'),
        'valid_to': declared.get('valid_to'),
        'owner': declared.get('owner'),
        'is_unique': event_id and is_tested_unique(node, event_id),
        'values': [],
    } -%}
    {%- for name, value in declared['values'].items() -%}
        {%- do group['values'].extend(read_feature_values(node, declared, group.name, name, value, types)) -%}
    {%- endfor -%}
    {%- do group.update(all_values=group['values']) -%}
    {{ return(group) }}
{%- endmacro %}
