with orders as (

    select * from {{ ref('fct_orders') }}

),

order_lines as (

    select * from {{ ref('fct_order_lines') }}

),

orders_counted as (

    select
        channel,
        ship_country,
        currency,
        count(case when is_sale then 1 end) as order_count,
        count(case when is_sale and line_count = 0 then 1 end) as order_without_lines_count,
        count(case when is_cancelled then 1 end) as cancelled_order_count,
        ordered_date as booked_date
    from orders
    group by ordered_date, channel, ship_country, currency

),

amounts_sorted as (

    select
        channel,
        ship_country,
        currency,
        case when is_sale then quantity else 0 end as units_sold,
        case when is_return then quantity else 0 end as units_returned,
        case when is_in_net_sales and not is_return then gross_amount else 0 end
            as gross_sales_amount,
        case when is_in_net_sales and not is_return then discount_amount else 0 end
            as sales_discount_amount,
        case when is_return then net_amount else 0 end as returned_amount,
        case when is_in_net_sales then net_amount else 0 end as net_sales_amount,
        case when not is_in_net_sales then net_amount else 0 end as cancelled_amount,
        is_sale,
        booked_date
    from order_lines

),

lines_summed as (

    select
        channel,
        ship_country,
        currency,
        count(case when is_sale then 1 end) as line_count,
        cast(sum(units_sold) as bigint) as units_sold,
        cast(sum(units_returned) as bigint) as units_returned,
        cast(sum(gross_sales_amount) as decimal(18, 4)) as gross_sales_amount,
        cast(sum(sales_discount_amount) as decimal(18, 4)) as sales_discount_amount,
        cast(sum(returned_amount) as decimal(18, 4)) as returned_amount,
        cast(sum(net_sales_amount) as decimal(18, 4)) as net_sales_amount,
        cast(sum(cancelled_amount) as decimal(18, 4)) as cancelled_amount,
        booked_date
    from amounts_sorted
    group by booked_date, channel, ship_country, currency

),

daily_sales as (

    select
        coalesce(orders_counted.channel, lines_summed.channel) as channel,
        coalesce(orders_counted.ship_country, lines_summed.ship_country) as ship_country,
        coalesce(orders_counted.currency, lines_summed.currency) as currency,
        coalesce(orders_counted.order_count, 0) as order_count,
        coalesce(orders_counted.order_without_lines_count, 0) as order_without_lines_count,
        coalesce(orders_counted.cancelled_order_count, 0) as cancelled_order_count,
        coalesce(lines_summed.line_count, 0) as line_count,
        coalesce(lines_summed.units_sold, 0) as units_sold,
        coalesce(lines_summed.units_returned, 0) as units_returned,
        lines_summed.gross_sales_amount,
        lines_summed.sales_discount_amount,
        lines_summed.returned_amount,
        lines_summed.net_sales_amount,
        lines_summed.cancelled_amount,
        coalesce(orders_counted.booked_date, lines_summed.booked_date) as booked_date
    from orders_counted
    full outer join lines_summed
        on
            orders_counted.booked_date = lines_summed.booked_date
            and orders_counted.channel = lines_summed.channel
            and orders_counted.ship_country = lines_summed.ship_country
            and orders_counted.currency = lines_summed.currency

)

select * from daily_sales
