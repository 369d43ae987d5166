{% macro find_components(steps) -%}
    {{ return(adapter.dispatch('find_components')(steps)) }}
{%- endmacro %}

{#
    Each node tells its neighbours the lowest number that it knows, as long as that is news to one.
    `using key` keeps a row a node, and hands on only those that changed.
#}
{% macro default__find_components(steps) -%}
    with recursive components (node_number, component_number)
    using key (node_number) as (

        select
            from_node_number as node_number,
            min(least(from_node_number, to_node_number)) as component_number
        from {{ steps }}
        group by from_node_number

        union

        select
            told.node_number,
            min(changed.component_number) as component_number
        from components as changed
        inner join {{ steps }} as {{ steps }}
            on changed.node_number = {{ steps }}.from_node_number
        inner join recurring.components as told
            on {{ steps }}.to_node_number = told.node_number
        where changed.component_number < told.component_number
        group by told.node_number

    )

    select
        node_number,
        component_number
    from components
{%- endmacro %}
