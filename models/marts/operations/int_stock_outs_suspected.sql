with order_lines as (

    select * from {{ ref('fct_order_lines') }}

),

product_versions as (

    select * from {{ ref('int_product_versions_bounded') }}

),

products_bounded as (

    select
        product_id,
        min(first_date) as first_date,
        max(last_date) as last_date
    from product_versions
    group by product_id

),

product_orders_counted as (

    select
        product_id,
        ordered_date,
        count(distinct order_id) as order_count
    from order_lines
    where not is_return
    group by product_id, ordered_date

),

product_orders_followed as (

    select
        product_id,
        ordered_date,
        {{ add_days('ordered_date', '1') }} as first_empty_date,
        lead(ordered_date) over (partition by product_id order by ordered_date)
            as next_ordered_date,
        coalesce(sum(order_count) over (
            partition by product_id order by ordered_date
            range between interval '{{ var('stock_out_history_days') }}' day preceding
            and interval '1' day preceding
        ), 0) as recent_order_count
    from product_orders_counted

),

-- A product that is off the list has no stock-out: a gap ends where the product was taken off.
delistings_found as (

    select
        product_orders_followed.product_id,
        product_orders_followed.ordered_date,
        min(greatest(product_versions.first_date, product_orders_followed.first_empty_date))
            as delisted_date
    from product_orders_followed
    inner join product_versions
        on
            product_orders_followed.product_id = product_versions.product_id
            and product_orders_followed.ordered_date < product_versions.last_date
    where product_versions.is_deleted
    group by product_orders_followed.product_id, product_orders_followed.ordered_date

),

gaps_found as (

    select
        product_orders_followed.product_id,
        product_orders_followed.recent_order_count,
        product_orders_followed.ordered_date,
        product_orders_followed.first_empty_date,
        least(
            coalesce(
                product_orders_followed.next_ordered_date,
                {{ add_days('products_bounded.last_date', '1') }}
            ),
            coalesce(delistings_found.delisted_date, cast({{ end_of_time() }} as date))
        ) as end_date,
        greatest(
            products_bounded.first_date,
            {{ add_days(
                'product_orders_followed.ordered_date', '-' ~ var('stock_out_history_days')
            ) }}
        ) as history_start_date
    from product_orders_followed
    inner join products_bounded
        on product_orders_followed.product_id = products_bounded.product_id
    left join delistings_found
        on
            product_orders_followed.product_id = delistings_found.product_id
            and product_orders_followed.ordered_date = delistings_found.ordered_date

),

shop_orders_counted as (

    select
        ordered_date,
        count(distinct order_id) as order_count
    from order_lines
    where not is_return
    group by ordered_date

),

shop_days as (

    select ordered_date as date_day from shop_orders_counted
    union
    select history_start_date as date_day from gaps_found
    union
    select ordered_date as date_day from gaps_found
    union
    select first_empty_date as date_day from gaps_found
    union
    select end_date as date_day from gaps_found

),

-- Time is counted in orders of the whole shop: a day without any order does not count.
shop_orders_summed as (

    select
        shop_days.date_day,
        coalesce(sum(shop_orders_counted.order_count) over (
            order by shop_days.date_day rows between unbounded preceding and 1 preceding
        ), 0) as orders_before
    from shop_days
    left join shop_orders_counted on shop_days.date_day = shop_orders_counted.ordered_date

),

gaps_measured as (

    select
        gaps_found.product_id,
        gaps_found.recent_order_count,
        at_gap.orders_before - at_start.orders_before as recent_shop_orders,
        at_end.orders_before - after_last_order.orders_before as missed_shop_orders,
        gaps_found.first_empty_date,
        {{ add_days('gaps_found.end_date', '-1') }} as last_empty_date
    from gaps_found
    inner join shop_orders_summed as at_start
        on gaps_found.history_start_date = at_start.date_day
    inner join shop_orders_summed as at_gap
        on gaps_found.ordered_date = at_gap.date_day
    inner join shop_orders_summed as after_last_order
        on gaps_found.first_empty_date = after_last_order.date_day
    inner join shop_orders_summed as at_end
        on gaps_found.end_date = at_end.date_day
    where
        gaps_found.first_empty_date < gaps_found.end_date
        and {{ dbt.datediff('gaps_found.first_empty_date', 'gaps_found.end_date', 'day') }}
        <= {{ var('stock_out_history_days') }}

),

int_stock_outs_suspected as (

    select
        product_id,
        first_empty_date as first_date,
        last_empty_date as last_date
    from gaps_measured
    where
        {{ compute_empty_gap_probability(
            'recent_order_count', 'recent_shop_orders', 'missed_shop_orders'
        ) }} < {{ var('stock_out_threshold') }}

)

select * from int_stock_outs_suspected
