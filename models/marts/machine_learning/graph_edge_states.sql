{%- set key = [
    'graph', 'from_node_label', 'from_entity_id', 'to_node_label', 'to_entity_id',
] -%}
{%- set attributes = ['weight', 'is_directed', 'connected_at'] -%}

with edge_history as (

    select * from {{ ref('stg_graph__edge_history') }}

),

states_ranked as (

    select
        *,
        row_number() over (
            partition by {{ key | join(', ') }}
            order by is_deleted, connected_known_at, _loaded_at, change_number
        ) as state_rank
    from edge_history

),

-- A first load shows the last state alone. The edge was there before, of unknown weight. The state
-- that was known first says so: one that arrives later would change the known past.
states_listed as (

    select
        {{ key | join(', ') }},
        weight,
        is_directed,
        is_deleted,
        change_number,
        connected_at,
        known_at
    from edge_history

    union all

    select
        {{ key | join(', ') }},
        cast(null as double) as weight,
        is_directed,
        is_deleted,
        0 as change_number,
        connected_at,
        connected_known_at as known_at
    from states_ranked
    where state_rank = 1 and not is_deleted

),

known_versions as (

    {{ build_known_versions('states_listed', key=key, attributes=attributes) }}

),

graph_edge_states as (

    select
        graph,
        from_node_label || ':' || from_entity_id as from_node_id,
        to_node_label || ':' || to_entity_id as to_node_id,
        from_node_label,
        from_entity_id,
        to_node_label,
        to_entity_id,
        weight,
        is_directed,
        not is_deleted and (weight is null or weight > 0) as is_connected,
        is_current,
        connected_at,
        valid_from,
        valid_to
    from known_versions

)

select * from graph_edge_states
