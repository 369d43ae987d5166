with order_lines as (

    select * from {{ ref('fct_order_lines') }}

),

product_versions as (

    select * from {{ ref('int_product_versions_bounded') }}

),

stock_outs as (

    select * from {{ ref('int_stock_outs_suspected') }}

),

holidays as (

    select * from {{ ref('int_holidays_weighed') }}

),

dim_date as (

    select * from {{ ref('dim_date') }}

),

product_days as (

    select
        product_id,
        category,
        list_price_currency,
        list_price,
        is_deleted,
        {{ list_days('first_date', 'last_date') }} as ordered_date
    from product_versions

),

-- A return is booked on its own day, and all else on the day of its order.
demand_summed as (

    select
        product_id,
        booked_date,
        count(distinct case when is_sale then order_id end) as order_count,
        sum(case when is_sale then quantity else 0 end) as units_sold,
        sum(case when is_return then quantity else 0 end) as units_returned
    from order_lines
    group by product_id, booked_date

),

product_demand_by_day as (

    select
        product_days.product_id,
        product_days.category,
        holidays.holiday_name,
        product_days.list_price_currency,
        product_days.list_price,
        coalesce(demand_summed.order_count, 0) as order_count,
        cast(coalesce(demand_summed.units_sold, 0) as bigint) as units_sold,
        cast(coalesce(demand_summed.units_returned, 0) as bigint) as units_returned,
        dim_date.calendar_year,
        dim_date.calendar_month,
        dim_date.iso_day_of_week,
        coalesce(holidays.order_share, 0) as holiday_order_share,
        dim_date.is_weekend,
        holidays.holiday_name is not null as is_holiday,
        stock_outs.product_id is not null as is_suspected_stock_out,
        product_days.ordered_date
    from product_days
    inner join dim_date on product_days.ordered_date = dim_date.date_day
    left join demand_summed
        on
            product_days.product_id = demand_summed.product_id
            and product_days.ordered_date = demand_summed.booked_date
    left join stock_outs
        on
            product_days.product_id = stock_outs.product_id
            and product_days.ordered_date >= stock_outs.first_date
            and product_days.ordered_date <= stock_outs.last_date
    left join holidays on product_days.ordered_date = holidays.holiday_date
    where not product_days.is_deleted or demand_summed.product_id is not null

)

select * from product_demand_by_day
