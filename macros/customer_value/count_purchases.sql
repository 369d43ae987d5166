{% macro count_purchases(orders, lines) -%}
    with orders_counted as (

        select
            customer_id,
            count(case when is_sale then 1 end) as order_count,
            count(case when is_sale and line_count = 0 then 1 end) as order_without_lines_count,
            count(case when is_cancelled then 1 end) as cancelled_order_count,
            min(case when is_sale then ordered_at end) as first_ordered_at,
            max(case when is_sale then ordered_date end) as last_ordered_date,
            max(case when is_sale then ordered_at end) as last_ordered_at
        from {{ orders }}
        where customer_id is not null
        group by customer_id

    ),

    units_summed as (

        select
            customer_id,
            sum(case when is_sale then quantity else 0 end) as units_sold,
            sum(case when is_return then quantity else 0 end) as units_returned
        from {{ lines }}
        where customer_id is not null
        group by customer_id

    )

    select
        orders_counted.customer_id,
        orders_counted.order_count,
        orders_counted.order_without_lines_count,
        orders_counted.cancelled_order_count,
        cast(coalesce(units_summed.units_sold, 0) as bigint) as units_sold,
        cast(coalesce(units_summed.units_returned, 0) as bigint) as units_returned,
        orders_counted.last_ordered_date,
        orders_counted.first_ordered_at,
        orders_counted.last_ordered_at
    from orders_counted
    left join units_summed on orders_counted.customer_id = units_summed.customer_id
{%- endmacro %}
