{% macro rank_nodes(steps, nodes, damping=0.85, tolerance=1e-6) -%}
    {{ return(adapter.dispatch('rank_nodes')(steps, nodes, damping, tolerance)) }}
{%- endmacro %}

{#
    What reaches a node in one step, two, three and so on, added up: of what is at a node, its steps
    pass on damping, in proportion to their weight. A walker who stands where no edge leads on goes
    anywhere, as one does who starts anew; that gives all nodes of a graph the same share more, so
    it is in the end a factor, by which the ranks of a graph add up to 1. Each node begins with 1,
    and what arrives is followed no further once it is less than the tolerance. All that arrived is
    kept, and added up once: a sum a node, brought up to date in each round, took six times as long.
#}
{% macro default__rank_nodes(steps, nodes, damping, tolerance) -%}
    with recursive arrivals (node_number, arrived) as (

        select
            node_number,
            cast(1 as double) as arrived
        from {{ nodes }}

        union all

        select
            news.node_number,
            news.arrived
        from (
            select
                {{ steps }}.to_node_number as node_number,
                {{ damping }} * sum(arrivals.arrived * {{ steps }}.weight_share) as arrived
            from arrivals
            inner join {{ steps }} as {{ steps }}
                on arrivals.node_number = {{ steps }}.from_node_number
            group by {{ steps }}.to_node_number
        ) as news
        where news.arrived >= {{ tolerance }}

    ),

    arrivals_summed as (

        select
            node_number,
            sum(arrived) as arrived_in_all
        from arrivals
        group by node_number

    )

    select
        arrivals_summed.node_number,
        arrivals_summed.arrived_in_all
        / sum({{ nodes }}.node_count * arrivals_summed.arrived_in_all) over (
            partition by {{ nodes }}.graph
        ) as page_rank
    from arrivals_summed
    inner join {{ nodes }} as {{ nodes }}
        on arrivals_summed.node_number = {{ nodes }}.node_number
{%- endmacro %}
