{% macro symmetrise_edges(edges) -%}
    select
        graph,
        from_node_id,
        to_node_id,
        weight,
        is_directed
    from {{ edges }}

    union all

    select
        graph,
        to_node_id as from_node_id,
        from_node_id as to_node_id,
        weight,
        is_directed
    from {{ edges }}
    where not is_directed and from_node_id <> to_node_id
{%- endmacro %}
