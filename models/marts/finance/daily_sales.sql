with order_lines as (

    select * from {{ ref('fct_order_lines') }}

),

daily_sales as (

    select
        channel,
        ship_country,
        currency,
        count(distinct case when is_sale then order_id end) as order_count,
        count(distinct case when is_cancelled then order_id end) as cancelled_order_count,
        count(case when is_sale then 1 end) as line_count,
        cast(sum(case when is_sale then quantity else 0 end) as bigint) as units_sold,
        cast(sum(case when is_return then quantity else 0 end) as bigint) as units_returned,
        cast(sum(case when is_sale then gross_amount else 0 end) as decimal(18, 4)) as gross_amount,
        cast(sum(case when is_sale then discount_amount else 0 end) as decimal(18, 4)) as discount_amount,
        cast(sum(case when is_return then net_amount else 0 end) as decimal(18, 4)) as returned_amount,
        cast(sum(case when is_sale or is_return then net_amount else 0 end) as decimal(18, 4)) as net_amount,
        cast(
            sum(case when is_cancelled and not is_return then net_amount else 0 end) as decimal(18, 4)
        ) as cancelled_amount,
        ordered_date
    from order_lines
    group by ordered_date, channel, ship_country, currency

)

select * from daily_sales
