{#
    Each edge leads from the node with fewer neighbours to the one with more. A hub then has few outgoing edges: at
    most √(2m) of m edges leave any node. A semi join cannot be taken before the pair of edges that it checks; an
    inner join could begin with all pairs of edges that end at a hub.
#}
{% macro count_triangles(steps) -%}
    with pairs as (

        select distinct
            least(from_node_number, to_node_number) as low_number,
            greatest(from_node_number, to_node_number) as high_number
        from {{ steps }}
        where from_node_number <> to_node_number

    ),

    ends_of_pairs as (

        select low_number as node_number from pairs
        union all
        select high_number as node_number from pairs

    ),

    neighbours_counted as (

        select
            node_number,
            count(*) as neighbour_count
        from ends_of_pairs
        group by node_number

    ),

    pairs_counted as (

        select
            pairs.low_number,
            pairs.high_number,
            low_nodes.neighbour_count as low_count,
            high_nodes.neighbour_count as high_count
        from pairs
        inner join neighbours_counted as low_nodes
            on pairs.low_number = low_nodes.node_number
        inner join neighbours_counted as high_nodes
            on pairs.high_number = high_nodes.node_number

    ),

    edges_oriented as (

        select
            case when low_count <= high_count then low_number else high_number end as from_number,
            case when low_count <= high_count then high_number else low_number end as to_number,
            greatest(low_count, high_count) as to_count
        from pairs_counted

    ),

    pairs_of_edges as (

        select
            edges.from_number as first_number,
            edges.to_number as second_number,
            other_edges.to_number as third_number
        from edges_oriented as edges
        inner join edges_oriented as other_edges
            on
                edges.from_number = other_edges.from_number
                and (
                    edges.to_count < other_edges.to_count
                    or (
                        edges.to_count = other_edges.to_count
                        and edges.to_number < other_edges.to_number
                    )
                )

    ),

    triangles as (

        select * from pairs_of_edges
        where
            exists (
                select 1 as is_closed
                from edges_oriented as closing_edges
                where
                    closing_edges.from_number = pairs_of_edges.second_number
                    and closing_edges.to_number = pairs_of_edges.third_number
            )

    ),

    corners (corner) as (

        values (1), (2), (3)

    ),

    corners_of_triangles as (

        select
            case corners.corner
                when 1 then triangles.first_number
                when 2 then triangles.second_number
                else triangles.third_number
            end as node_number
        from triangles
        cross join corners

    ),

    triangles_counted as (

        select
            node_number,
            count(*) as triangle_count
        from corners_of_triangles
        group by node_number

    )

    select
        neighbours_counted.node_number,
        neighbours_counted.neighbour_count,
        coalesce(triangles_counted.triangle_count, 0) as triangle_count
    from neighbours_counted
    left join triangles_counted
        on neighbours_counted.node_number = triangles_counted.node_number
{%- endmacro %}
