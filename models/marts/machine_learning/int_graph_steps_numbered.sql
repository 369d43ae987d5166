with edges as (

    select * from {{ ref('graph_edges') }}

),

nodes_numbered as (

    select * from {{ ref('int_graph_nodes_numbered') }}

),

edges_both_ways as (

    {{ symmetrise_edges('edges') }}

),

int_graph_steps_numbered as (

    select
        from_nodes.node_number as from_node_number,
        to_nodes.node_number as to_node_number,
        edges_both_ways.weight / from_nodes.out_weight as weight_share
    from edges_both_ways
    inner join nodes_numbered as from_nodes
        on
            edges_both_ways.graph = from_nodes.graph
            and edges_both_ways.from_node_id = from_nodes.node_id
    inner join nodes_numbered as to_nodes
        on
            edges_both_ways.graph = to_nodes.graph
            and edges_both_ways.to_node_id = to_nodes.node_id

)

select * from int_graph_steps_numbered
