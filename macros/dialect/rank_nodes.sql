{% macro rank_nodes(steps, nodes, damping=0.85, tolerance=1e-6) -%}
    {{ return(adapter.dispatch('rank_nodes')(steps, nodes, damping, tolerance)) }}
{%- endmacro %}

{#
    What reaches a node in one step, two, three and so on, added up: of what is at a node, its steps
    pass on damping, in proportion to their weight. A walker who stands where no edge leads on goes
    anywhere, as one does who starts anew; that gives all nodes of a graph the same share more, so
    it is in the end a factor, by which the ranks of a graph add up to 1. What arrives is followed
    no further once it is less than the tolerance, as a share of what each node began with.
#}
{% macro default__rank_nodes(steps, nodes, damping, tolerance) -%}
    with recursive ranks (node_number, graph, node_count, everywhere, arrived, arrived_in_all)
    using key (node_number) as (

        select
            node_number,
            graph,
            node_count,
            1.0 / cast(sum(node_count) over (partition by graph) as double) as everywhere,
            1.0 / cast(sum(node_count) over (partition by graph) as double) as arrived,
            1.0 / cast(sum(node_count) over (partition by graph) as double) as arrived_in_all
        from {{ nodes }}

        union

        select
            told.node_number,
            told.graph,
            told.node_count,
            told.everywhere,
            news.arrived,
            told.arrived_in_all + news.arrived as arrived_in_all
        from (
            select
                {{ steps }}.to_node_number,
                {{ damping }} * sum(ranks.arrived * {{ steps }}.weight_share) as arrived
            from ranks
            inner join {{ steps }} as {{ steps }}
                on ranks.node_number = {{ steps }}.from_node_number
            group by {{ steps }}.to_node_number
        ) as news
        inner join recurring.ranks as told on news.to_node_number = told.node_number
        where news.arrived >= {{ tolerance }} * told.everywhere

    )

    select
        node_number,
        arrived_in_all / sum(node_count * arrived_in_all) over (partition by graph) as page_rank
    from ranks
{%- endmacro %}
