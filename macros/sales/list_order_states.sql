{#
    A first load shows the last state alone: the order was placed before that, in a state that was not seen. So an
    order that was cancelled in February counts as placed in January.
#}
{% macro list_order_states(affected_by=none) -%}
    with order_changes as (

        {{ date_changes(
            'sales.orders',
            key='order_id',
            happened_at='greatest(ordered_at, updated_at)',
            began_at='ordered_at',
            affected_by=affected_by,
        ) }}

    ),

    placements_ranked as (

        select
            *,
            min(_began_known_at) over (partition by order_id) as placed_known_at,
            row_number() over (partition by order_id order by _change_number) as state_rank
        from order_changes
        where not _is_tombstone

    ),

    order_states as (

        select
            order_id,
            customer_id,
            channel,
            ship_country,
            currency,
            time_zone,
            status,
            ordered_at,
            _happened_at,
            _is_tombstone,
            _change_number as change_number,
            greatest(_known_at, ordered_at) as known_at
        from order_changes

        union all

        select
            order_id,
            customer_id,
            channel,
            ship_country,
            currency,
            time_zone,
            cast(null as varchar) as status,
            ordered_at,
            ordered_at as _happened_at,
            _is_tombstone,
            0 as change_number,
            greatest(placed_known_at, ordered_at) as known_at
        from placements_ranked
        where state_rank = 1

    )

    select * from (

        {{ keep_known_states('order_states', key='order_id') }}

    ) as known_states
{%- endmacro %}
