with nodes_numbered as (

    select * from {{ ref('int_graph_nodes_numbered') }}

),

steps as (

    select * from {{ ref('int_graph_steps_numbered') }}

),

triangles as (

    select * from {{ ref('int_graph_triangles_counted') }}

),

nodes_to_rank as ( -- noqa: ST03

    select
        graph,
        node_number,
        count(*) as node_count
    from nodes_numbered
    group by graph, node_number

),

steps_either_way as ( -- noqa: ST03

    select
        from_node_number,
        to_node_number
    from steps

    union

    select
        to_node_number as from_node_number,
        from_node_number as to_node_number
    from steps

),

components as (

    {{ find_components('steps_either_way') }} -- noqa: PRS

),

ranks as (

    {{ rank_nodes('steps', 'nodes_to_rank') }} -- noqa: PRS

),

nodes_in_components as (

    select
        nodes_numbered.graph,
        nodes_numbered.node_id,
        coalesce(first_nodes.node_id, nodes_numbered.node_id) as component_id,
        nodes_numbered.node_number,
        nodes_numbered.in_degree,
        nodes_numbered.out_degree,
        nodes_numbered.in_weight,
        nodes_numbered.out_weight
    from nodes_numbered
    left join components on nodes_numbered.node_number = components.node_number
    left join nodes_numbered as first_nodes
        on components.component_number = first_nodes.node_number

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
        nodes_in_components.in_weight,
        nodes_in_components.out_weight,
        coalesce(triangles.neighbour_count, 0) as neighbour_count,
        coalesce(triangles.triangle_count, 0) as triangle_count,
        case
            when triangles.neighbour_count > 1
                then
                    2.0 * triangles.triangle_count
                    / (triangles.neighbour_count * (triangles.neighbour_count - 1))
        end as clustering_coefficient,
        round(ranks.page_rank, 12) as page_rank
    from nodes_in_components
    inner join ranks on nodes_in_components.node_number = ranks.node_number
    left join triangles on nodes_in_components.node_number = triangles.node_number

)

select * from graph_measures
