{# A declared value as one feature per window, each with what its SQL needs. #}
{% macro read_feature_values(node, group, group_name, name, value, types) -%}
    {%- set aggregates = ['count', 'sum', 'avg', 'min', 'max', 'stddev', 'first', 'last', 'count_distinct'] -%}
    {%- set is_as_of = 'valid_from' in group -%}
    {%- set known = ['of', 'description'] if is_as_of
        else ['agg', 'of', 'windows', 'where', 'delay', 'ttl', 'closed', 'description'] -%}
    {%- for field in value if field not in known -%}
        {%- do refuse_feature(
            node, group, "'" ~ field ~ "' is no field of a value. Fields are " ~ known | join(', '), name
        ) -%}
    {%- endfor -%}
    {%- if not value.get('description') -%}
        {%- do refuse_feature(node, group, 'description is missing', name) -%}
    {%- endif -%}
    {%- if not is_as_of and value.get('agg') not in aggregates -%}
        {%- do refuse_feature(
            node, group, "agg '" ~ value.get('agg') ~ "' is unknown. Aggregates are " ~ aggregates | join(', '), name
        ) -%}
    {%- endif -%}
    {%- set of = value.get('of') -%}
    {%- if of or is_as_of or value.agg != 'count' -%}
        {%- do require_feature_column(node, group, 'of', of, types, name) -%}
    {%- endif -%}
    {%- if is_as_of or value.agg in ['min', 'max', 'first', 'last'] -%}
        {%- set meta = node.columns[of].config.meta if of in node.columns else {} -%}
        {%- if meta.get('pii') or meta.get('phi') -%}
            {%- do refuse_feature(node, group, of ~ ' is tagged as personal data, which is no feature', name) -%}
        {%- elif of.endswith('_id') or of.endswith('_key') -%}
            {%- do refuse_feature(node, group, of ~ ' is an identifier, which is no feature', name) -%}
        {%- endif -%}
    {%- endif -%}
    {%- set kind = class_number(types.get(of, '')) -%}
    {%- if value.get('agg') in ['sum', 'avg', 'stddev'] and kind == 'other' -%}
        {%- do refuse_feature(
            node, group, value.agg ~ ' needs a number or a boolean; ' ~ of ~ ' is ' ~ (types[of] or 'without data_type'),
            name
        ) -%}
    {%- endif -%}
    {%- set closed = value.get('closed') or group.get('closed') or 'left' -%}
    {%- if closed not in ['left', 'right'] -%}
        {%- do refuse_feature(node, group, "closed '" ~ closed ~ "' is neither left nor right", name) -%}
    {%- endif -%}
    {%- set delay_us = read_feature_duration(node, group, 'delay', value, name)
        or read_feature_duration(node, group, 'delay', group) or 0 -%}
    {%- set ttl_us = read_feature_duration(node, group, 'ttl', value, name)
        or read_feature_duration(node, group, 'ttl', group) -%}
    {%- set features = [] -%}
    {%- for window in value.get('windows') or [none] -%}
        {%- do features.append({
            'feature': group_name ~ '__' ~ name ~ ('_' ~ window if window),
            'value': name,
            'agg': value.get('agg'),
            'of': of,
            'kind': kind,
            'type': get_feature_type(value.get('agg'), types.get(of, '')),
            'where': value.get('where'),
            'window': window,
            'begin_us': delay_us + (1 if closed == 'left' else 0),
            'window_us': read_feature_duration(node, group, 'windows', {'windows': window}, name),
            'ttl_us': ttl_us,
            'description': value.description,
        }) -%}
    {%- endfor -%}
    {{ return(features) }}
{%- endmacro %}
