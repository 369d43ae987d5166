with order_lines as (

    select * from {{ ref('fct_order_lines') }}

),

amounts_sorted as (

    select
        order_id,
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
        is_cancelled,
        ordered_date
    from order_lines

),

daily_sales as (

    select
        channel,
        ship_country,
        currency,
        count(distinct case when is_sale then order_id end) as order_count,
        count(distinct case when is_cancelled then order_id end) as cancelled_order_count,
        count(case when is_sale then 1 end) as line_count,
        cast(sum(units_sold) as bigint) as units_sold,
        cast(sum(units_returned) as bigint) as units_returned,
        cast(sum(gross_sales_amount) as decimal(18, 4)) as gross_sales_amount,
        cast(sum(sales_discount_amount) as decimal(18, 4)) as sales_discount_amount,
        cast(sum(returned_amount) as decimal(18, 4)) as returned_amount,
        cast(sum(net_sales_amount) as decimal(18, 4)) as net_sales_amount,
        cast(sum(cancelled_amount) as decimal(18, 4)) as cancelled_amount,
        ordered_date
    from amounts_sorted
    group by ordered_date, channel, ship_country, currency

)

select * from daily_sales
