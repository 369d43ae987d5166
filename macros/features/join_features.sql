{#
    The columns of a spine and its features. Each group of features is one row per entity and moment, so that no join
    adds a row, and a row of the spine without an event stays.
#}
{% macro join_features(spine, time, groups, entity={}, strategy=none, columns=[], where='') -%}
    {%- set ctes, joined, features, names = [], [], [], [] -%}
    {%- set moments = {} -%}
    {%- for group in groups -%}
        {%- set keys = [] -%}
        {%- for column in group.entity -%}
            {%- if columns and entity.get(column, column) not in columns -%}
                {%- do exceptions.raise_compiler_error(
                    model.name ~ ' takes features of ' ~ group.name ~ ' from ' ~ group.model ~ ', but its spine '
                    ~ spine ~ ' has no column ' ~ entity.get(column, column) ~ '. Its columns are '
                    ~ columns | join(', ') ~ ". Fix: name the spine's column: training_set(…, entity={'"
                    ~ column ~ "': '…'})."
                ) -%}
            {%- endif -%}
            {%- do keys.append(entity.get(column, column)) -%}
        {%- endfor -%}
        {%- if keys | join not in moments -%}
            {%- do moments.update({keys | join: 'moments_of_' ~ keys | join('_and_')}) -%}
            {%- do ctes.append([moments[keys | join], select_moments('spine_rows', keys, time)]) -%}
        {%- endif -%}
        {%- set name = group.model ~ '__' ~ group.name -%}
        {%- set name = name ~ '_' ~ loop.index if name in names else name -%}
        {%- do names.append(name) -%}
        {%- set parts = split_by_strategy(group, spine, strategy) -%}
        {%- if group.event_time -%}
            {%- do ctes.append([name ~ '_events', select_events(group)]) -%}
        {%- endif -%}
        {%- for part in parts -%}
            {%- set part_name = name ~ '_' ~ part.name -%}
            {%- if part.strategy == 'as_of' -%}
                {%- do ctes.append([part_name, find_states(moments[keys | join], group, part['values'])]) -%}
            {%- elif part.strategy == 'range_join' -%}
                {%- do ctes.append([part_name, aggregate_by_range(
                    moments[keys | join], name ~ '_events', keys | length, part['values']
                )]) -%}
            {%- else -%}
                {%- do ctes.extend(sum_prefixes(
                    part_name, moments[keys | join], name ~ '_events', keys | length, part['values']
                )) -%}
            {%- endif -%}
            {%- do joined.append({'name': part_name, 'keys': keys}) -%}
            {%- for value in part['values'] -%}
                {%- do features.append({'part': part_name, 'value': value}) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endfor -%}
    with spine_rows as (

        select * from {{ spine }}{{ ' as spine_row ' ~ where if where }}

    ),
    {%- for name, body in ctes %}

    {{ name }} as (

        {{ body | indent(8) }}

    ){{ ',' if not loop.last }}
    {%- endfor %}

    select
        spine.*
        {%- for group in groups -%}
        {%- for value in group['values'] -%}
        {%- for feature in features if feature.value.feature == value.feature %},
        {{ finish_feature(feature.part, value) }} as {{ value.feature }}
        {%- endfor -%}
        {%- endfor -%}
        {%- endfor %}
    from spine_rows as spine
    {%- for part in joined %}
    left join {{ part.name }}
        on
            {{ convert_to_epoch_us('cast(spine.' ~ time ~ ' as timestamp)') }} = {{ part.name }}.moment_us
            {%- for key in part['keys'] %}
            and spine.{{ key }} = {{ part.name }}.entity_{{ loop.index }}
            {%- endfor %}
    {%- endfor %}
{%- endmacro %}
