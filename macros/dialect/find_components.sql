{% macro find_components(steps, nodes) -%}
    {{ return(adapter.dispatch('find_components')(steps, nodes)) }}
{%- endmacro %}

{#
    Each node tells its neighbours the lowest number that it knows, as long as that is news to one.
    `using key` keeps a row a node, and hands on only those that changed.
#}
{% macro default__find_components(steps, nodes) -%}
    with recursive components (graph, node_number, component_number)
    using key (graph, node_number) as (

        select
            graph,
            node_number,
            node_number as component_number
        from {{ nodes }}

        union

        select
            told.graph,
            told.node_number,
            min(changed.component_number) as component_number
        from components as changed
        inner join {{ steps }} as {{ steps }}
            on
                changed.graph = {{ steps }}.graph
                and changed.node_number = {{ steps }}.from_node_number
        inner join recurring.components as told
            on
                {{ steps }}.graph = told.graph
                and {{ steps }}.to_node_number = told.node_number
        where changed.component_number < told.component_number
        group by told.graph, told.node_number

    )

    select
        graph,
        node_number,
        component_number
    from components
{%- endmacro %}
