{#
    A line that came with its order counts from the order's time, unless its own time or its quantity tells that it was
    booked later. A line without any time that came later is known from its arrival.
#}
{% macro list_line_states(affected_by=none) -%}
    with line_changes as (

        {{ date_changes(
            'sales.order_lines',
            key=['order_id', 'line_number'],
            happened_at='updated_at',
            affected_by=affected_by,
        ) }}

    ),

    order_arrivals as (

        select
            order_id,
            min(_loaded_at) as first_loaded_at,
            max(case when _is_backfill then 1 else 0 end) = 1 as is_backfill
        from {{ get_contract('sales.orders').relation }}
        {{ filter_affected_keys(affected_by) }}
        group by order_id

    ),

    lines_with_order as (

        select
            line_changes.*,
            coalesce(
                line_changes._is_backfill
                or (
                    not order_arrivals.is_backfill
                    and line_changes._loaded_at
                    <= order_arrivals.first_loaded_at + interval '1' day
                ),
                false
            ) as came_with_order
        from line_changes
        left join order_arrivals on line_changes.order_id = order_arrivals.order_id

    ),

    line_states as (

        select
            order_id,
            line_number,
            product_id,
            quantity,
            unit_price,
            discount_amount,
            _happened_at,
            _is_tombstone,
            _change_number as change_number,
            case
                when
                    came_with_order
                    and not _is_tombstone
                    and (
                        _happened_at is null
                        or (_change_number = 1 and quantity > 0 and not _is_arrival_seen)
                    )
                    then {{ beginning_of_time() }}
                else _known_at
            end as known_at
        from lines_with_order

    )

    select * from (

        {{ keep_known_states('line_states', key=['order_id', 'line_number']) }}

    ) as known_states
{%- endmacro %}
