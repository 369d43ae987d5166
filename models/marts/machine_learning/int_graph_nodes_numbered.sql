with nodes as (

    select * from {{ ref('graph_nodes') }}

),

edges as (

    select * from {{ ref('graph_edges') }}

),

project_graphs (graph, node_label) as (

    values
    ('referral', 'customer'),
    ('bought_together', 'product'),
    ('used_device', 'customer'),
    ('used_device', 'device'),
    ('shared_device', 'customer')

),

labels_of_graphs as (

    select
        graph,
        node_label
    from project_graphs

    union

    select
        edges.graph,
        nodes.node_label
    from edges
    inner join nodes on edges.from_node_id = nodes.node_id

    union

    select
        edges.graph,
        nodes.node_label
    from edges
    inner join nodes on edges.to_node_id = nodes.node_id

),

nodes_of_graphs as (

    select
        labels_of_graphs.graph,
        nodes.node_id
    from labels_of_graphs
    inner join nodes on labels_of_graphs.node_label = nodes.node_label

),

-- Decimals add up to the same total in every order.
edges_both_ways as (

    {{ symmetrise_edges('edges') }}

),

outgoing as (

    select
        graph,
        from_node_id as node_id,
        count(*) as degree,
        sum(cast(weight as decimal(38, 12))) as weight
    from edges_both_ways
    group by graph, from_node_id

),

incoming as (

    select
        graph,
        to_node_id as node_id,
        count(*) as degree,
        sum(cast(weight as decimal(38, 12))) as weight
    from edges_both_ways
    group by graph, to_node_id

),

nodes_with_degrees as (

    select
        nodes_of_graphs.graph,
        nodes_of_graphs.node_id,
        coalesce(incoming.degree, 0) as in_degree,
        coalesce(outgoing.degree, 0) as out_degree,
        cast(coalesce(incoming.weight, 0) as double) as in_weight,
        cast(coalesce(outgoing.weight, 0) as double) as out_weight,
        coalesce(incoming.degree, outgoing.degree) is not null as has_edge,
        row_number() over (order by nodes_of_graphs.graph, nodes_of_graphs.node_id) as node_number
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

-- Nodes without an edge share one number: they are many, and their ranks are equal.
int_graph_nodes_numbered as (

    select
        graph,
        node_id,
        in_degree,
        out_degree,
        in_weight,
        out_weight,
        has_edge,
        case
            when has_edge then node_number
            else min(node_number) over (partition by graph, has_edge)
        end as node_number
    from nodes_with_degrees

)

select * from int_graph_nodes_numbered
