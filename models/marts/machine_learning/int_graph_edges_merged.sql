with edge_states as (

    select * from {{ ref('graph_edge_states') }}

),

states_dated as (

    select
        *,
        coalesce(
            max(case when not is_connected then valid_to end) over (
                partition by graph, from_node_id, to_node_id
            ),
            min(valid_from) over (partition by graph, from_node_id, to_node_id)
        ) as connected_from
    from edge_states

),

-- One edge with a direction gives its whole graph a direction.
present_edges as (

    select
        graph,
        from_node_id,
        to_node_id,
        weight,
        is_directed,
        max(case when is_directed then 1 else 0 end) over (partition by graph) = 1
            as is_directed_graph,
        connected_from,
        valid_from
    from states_dated
    where is_current and is_connected and from_node_id <> to_node_id

),

edges_turned as (

    select
        graph,
        case
            when is_directed_graph then from_node_id
            else least(from_node_id, to_node_id)
        end as from_node_id,
        case
            when is_directed_graph then to_node_id
            else greatest(from_node_id, to_node_id)
        end as to_node_id,
        weight,
        is_directed_graph,
        connected_from,
        valid_from
    from present_edges

    union all

    select
        graph,
        to_node_id as from_node_id,
        from_node_id as to_node_id,
        weight,
        is_directed_graph,
        connected_from,
        valid_from
    from present_edges
    where is_directed_graph and not is_directed

),

int_graph_edges_merged as (

    select
        graph,
        from_node_id,
        to_node_id,
        max(weight) as weight,
        is_directed_graph as is_directed,
        min(connected_from) as known_at,
        max(valid_from) as weight_known_at
    from edges_turned
    group by graph, from_node_id, to_node_id, is_directed_graph

)

select * from int_graph_edges_merged
