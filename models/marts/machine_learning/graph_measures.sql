with nodes as (

    select * from {{ ref('graph_nodes') }}

),

edges as (

    select * from {{ ref('graph_edges') }}

),

labels_of_graphs (graph, node_label) as (

    values
    ('referral', 'customer'),
    ('bought_together', 'product'),
    ('used_device', 'customer'),
    ('used_device', 'device'),
    ('shared_device', 'customer')

),

nodes_of_graphs as (

    select
        labels_of_graphs.graph,
        nodes.node_id
    from labels_of_graphs
    inner join nodes on labels_of_graphs.node_label = nodes.node_label

),

edges_both_ways as (

    select
        graph,
        from_node_id,
        to_node_id,
        weight,
        is_directed
    from edges

    union all

    select
        graph,
        to_node_id as from_node_id,
        from_node_id as to_node_id,
        weight,
        is_directed
    from edges
    where not is_directed and from_node_id <> to_node_id

),

outgoing as (

    select
        graph,
        from_node_id as node_id,
        count(*) as degree,
        sum(weight) as weight
    from edges_both_ways
    group by graph, from_node_id

),

incoming as (

    select
        graph,
        to_node_id as node_id,
        count(*) as degree,
        sum(weight) as weight
    from edges_both_ways
    group by graph, to_node_id

),

nodes_with_degrees as (

    select
        nodes_of_graphs.graph,
        nodes_of_graphs.node_id,
        coalesce(incoming.degree, 0) as in_degree,
        coalesce(outgoing.degree, 0) as out_degree,
        coalesce(incoming.weight, 0) as in_weight,
        coalesce(outgoing.weight, 0) as out_weight,
        case
            when coalesce(incoming.degree, outgoing.degree) is not null
                then row_number() over (
                    partition by nodes_of_graphs.graph
                    order by nodes_of_graphs.node_id
                )
            else 0
        end as node_number
    from nodes_of_graphs
    left join incoming
        on
            nodes_of_graphs.graph = incoming.graph
            and nodes_of_graphs.node_id = incoming.node_id
    left join outgoing
        on
            nodes_of_graphs.graph = outgoing.graph
            and nodes_of_graphs.node_id = outgoing.node_id

),

steps as (

    select
        edges_both_ways.graph,
        from_nodes.node_number as from_node_number,
        to_nodes.node_number as to_node_number,
        edges_both_ways.weight / cast(from_nodes.out_weight as double) as weight_share
    from edges_both_ways
    inner join nodes_with_degrees as from_nodes
        on
            edges_both_ways.graph = from_nodes.graph
            and edges_both_ways.from_node_id = from_nodes.node_id
    inner join nodes_with_degrees as to_nodes
        on
            edges_both_ways.graph = to_nodes.graph
            and edges_both_ways.to_node_id = to_nodes.node_id

),

-- All nodes without an edge are one to the walker, number 0: they are many, and their ranks equal.
nodes_ranked_alike as (

    select
        graph,
        node_number,
        count(*) as node_count,
        max(out_degree) = 0 as is_dead_end
    from nodes_with_degrees
    group by graph, node_number

),

nodes_with_edges as ( -- noqa: ST03

    select
        graph,
        node_number
    from nodes_ranked_alike
    where node_number > 0

),

steps_either_way as ( -- noqa: ST03

    select
        graph,
        from_node_number,
        to_node_number
    from steps

    union

    select
        graph,
        to_node_number as from_node_number,
        from_node_number as to_node_number
    from steps

),

components as (

    {{ find_components('steps_either_way', 'nodes_with_edges') }} -- noqa: PRS

),

ranks as (

    {{ rank_nodes('steps', 'nodes_ranked_alike') }} -- noqa: PRS

),

nodes_in_components as (

    select
        nodes_with_degrees.graph,
        nodes_with_degrees.node_id,
        coalesce(first_nodes.node_id, nodes_with_degrees.node_id) as component_id,
        nodes_with_degrees.node_number,
        nodes_with_degrees.in_degree,
        nodes_with_degrees.out_degree,
        nodes_with_degrees.in_weight,
        nodes_with_degrees.out_weight
    from nodes_with_degrees
    left join components
        on
            nodes_with_degrees.graph = components.graph
            and nodes_with_degrees.node_number = components.node_number
    left join nodes_with_degrees as first_nodes
        on
            components.graph = first_nodes.graph
            and components.component_number = first_nodes.node_number

),

graph_measures as (

    select
        nodes_in_components.graph,
        nodes_in_components.node_id,
        nodes_in_components.component_id,
        count(*) over (
            partition by nodes_in_components.graph, nodes_in_components.component_id
        ) as component_size,
        nodes_in_components.in_degree,
        nodes_in_components.out_degree,
        cast(nodes_in_components.in_weight as bigint) as in_weight,
        cast(nodes_in_components.out_weight as bigint) as out_weight,
        round(ranks.page_rank, 12) as page_rank
    from nodes_in_components
    inner join ranks
        on
            nodes_in_components.graph = ranks.graph
            and nodes_in_components.node_number = ranks.node_number

)

select * from graph_measures
