{#
    What features read, as one hash per group of features and part of its entities: by the last moment of the rows that
    stand, and by that of the spine. What a later moment alone sees is in neither, so a hash changes only if a row may.
#}
{% macro list_training_inputs(groups, noted_us, now_us) -%}
    {%- for group in groups %}
    {{ 'union all' if not loop.first }}
    select
        {{ loop.index }} as input_number,
        part_number,
        cast(coalesce(sum(case when known_us <= ({{ noted_us }}) then noted_hash end), 0) as decimal(38, 0))
            as noted_hash,
        cast(coalesce(sum(case when known_us <= ({{ now_us }}) then now_hash end), 0) as decimal(38, 0)) as now_hash
    from (

        {{ hash_events(group) if group.event_time else hash_states(group, noted_us, now_us) }}

    ) as inputs_hashed
    group by part_number
    {%- endfor %}
{%- endmacro %}

{# Events as features see them. #}
{% macro hash_events(group) -%}
    {%- set entity = [] -%}
    {%- for column in group.entity -%}
        {%- do entity.append('events.entity_' ~ loop.index) -%}
    {%- endfor -%}
    select
        {{ number_part(entity) }} as part_number,
        events.known_us,
        {{ hash_row('events') }} as noted_hash,
        noted_hash as now_hash
    from (

        {{ select_events(group) }}

    ) as events
{%- endmacro %}

{# The end of a state counts from when it has come; of states that begin at once it decides which is taken. #}
{% macro hash_states(group, noted_us, now_us) -%}
    {%- set columns = group['values'] | map(attribute='of') | unique | list -%}
    select
        {{ number_part(group.entity) }} as part_number,
        state_from_us as known_us,
        {%- for moment_us, name in [[noted_us, 'noted_hash'], [now_us, 'now_hash']] %}
        {%- set end_us = 'case when has_twin or state_to_us <= (' ~ moment_us ~ ') then state_to_us end' %}
        {{ hash_texts(group.entity + columns + ['state_from_us', end_us]) }} as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from (

        select
            {{ (group.entity + columns) | unique | join(', ') }},
            {{ convert_to_epoch_us('cast(' ~ group.valid_from ~ ' as timestamp)') }} as state_from_us,
            {{ convert_to_epoch_us('cast(' ~ group.valid_to ~ ' as timestamp)') }} as state_to_us,
            count(*) over (partition by {{ group.entity | join(', ') }}, {{ group.valid_from }}) > 1 as has_twin
        from {{ group.relation }}
        where {{ group.where or 'true' }}

    ) as states
{%- endmacro %}
