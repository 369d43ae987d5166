{#
    The features of a group by how they are computed. Prefix sums take one part per begin of a window, as an event
    enters the windows of a part at one moment.
#}
{% macro split_by_strategy(group, spine, strategy=none) -%}
    {%- if not group.event_time -%}
        {{ return([{'name': 'states', 'strategy': 'as_of', 'values': group['values']}]) }}
    {%- endif -%}
    {%- set strategy = strategy or choose_strategy(group, spine) -%}
    {%- set ranged, begins = [], {} -%}
    {%- for value in group['values'] -%}
        {%- if strategy == 'prefix_sums' and value.ttl_us is none and (
            value.agg == 'count' or (value.agg in ['sum', 'avg'] and value.kind in ['decimal', 'integer', 'boolean'])
        ) -%}
            {%- do begins.setdefault(value.begin_us, []).append(value) -%}
        {%- else -%}
            {%- do ranged.append(value) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set parts = [{'name': 'ranged', 'strategy': 'range_join', 'values': ranged}] if ranged else [] -%}
    {%- for begin_us, values in begins.items() -%}
        {%- do parts.append({
            'name': 'summed_' ~ loop.index, 'strategy': 'prefix_sums', 'values': values
        }) -%}
    {%- endfor -%}
    {{ return(parts) }}
{%- endmacro %}
