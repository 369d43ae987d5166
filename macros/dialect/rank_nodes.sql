{% macro rank_nodes(steps, nodes, damping=0.85, tolerance=1e-8, most_iterations=200) -%}
    {{ return(adapter.dispatch('rank_nodes')(steps, nodes, damping, tolerance, most_iterations)) }}
{%- endmacro %}

{#
    The power iteration: a walker follows an edge, in proportion to its weight, or with probability
    1 - damping, and always where there is none, goes anywhere. A graph rests once its ranks, which
    add up to 1, change by less than the tolerance in all.
#}
{% macro default__rank_nodes(steps, nodes, damping, tolerance, most_iterations) -%}
    with recursive ranks (
        node_number, graph, node_count, everywhere, is_dead_end, page_rank, previous_rank, iteration
    )
    using key (node_number) as (

        select
            node_number,
            graph,
            node_count,
            1.0 / cast(sum(node_count) over (partition by graph) as double) as everywhere,
            is_dead_end,
            1.0 / cast(sum(node_count) over (partition by graph) as double) as page_rank,
            cast(null as double) as previous_rank,
            0 as iteration
        from {{ nodes }}

        union

        select
            ranks.node_number,
            ranks.graph,
            ranks.node_count,
            ranks.everywhere,
            ranks.is_dead_end,
            {{ 1 - damping }} * ranks.everywhere
            + {{ damping }} * (
                coalesce(received.page_rank, 0) + totals.stranded_rank * ranks.everywhere
            ) as page_rank,
            ranks.page_rank as previous_rank,
            ranks.iteration + 1 as iteration
        from ranks
        inner join (
            select
                graph,
                sum(case when is_dead_end then node_count * page_rank else 0 end) as stranded_rank,
                sum(node_count * abs(page_rank - previous_rank)) as change
            from ranks
            group by graph
        ) as totals on ranks.graph = totals.graph
        left join (
            select
                {{ steps }}.to_node_number,
                sum(ranks.page_rank * {{ steps }}.weight_share) as page_rank
            from ranks
            inner join {{ steps }} as {{ steps }}
                on ranks.node_number = {{ steps }}.from_node_number
            group by {{ steps }}.to_node_number
        ) as received on ranks.node_number = received.to_node_number
        where
            ranks.iteration < {{ most_iterations }}
            and coalesce(totals.change, 1) >= {{ tolerance }}

    )

    select
        node_number,
        page_rank
    from ranks
{%- endmacro %}
