{%- set horizon_days = var('demand_horizon_days') -%}

with order_lines_known as (

    select
        *,
        {{ business_date('valid_from') }} as known_date
    from {{ ref('fct_order_line_changes') }}
    where product_id is not null and is_sale

),

sales_days_reached as (

    select * from {{ ref('int_sales_days_reached') }}

),

stock_outs as (

    select * from {{ ref('int_stock_outs_suspected') }}

),

latest_day as (

    select {{ business_date('max(valid_from)') }} as latest_date
    from {{ ref('fct_order_status_changes') }}

),

days_sold as (

    select distinct
        product_id,
        known_date
    from order_lines_known

),

-- A product is on sale for a while after an order, as far as it was known.
product_days as (

    select distinct
        days_sold.product_id,
        {{ list_days(
            add_days('days_sold.known_date', 1),
            'least(latest_day.latest_date, '
            ~ add_days('days_sold.known_date', var('product_life_days')) ~ ')',
        ) }} as as_of_date,
        latest_day.latest_date
    from days_sold
    cross join latest_day

),

days_timed as (

    select
        product_days.product_id,
        product_days.as_of_date,
        {{ add_days('product_days.as_of_date', horizon_days) }} as horizon_date,
        case
            when sales_days_reached.known_date <= product_days.latest_date
                then sales_days_reached.known_date
        end as label_known_date
    from product_days
    left join sales_days_reached
        on
            {{ covers_day(
                'sales_days_reached',
                add_days('product_days.as_of_date', horizon_days),
            ) }}

),

units_of_horizon as (

    select
        days_timed.product_id,
        days_timed.as_of_date,
        sum(order_lines_known.quantity) as units_sold
    from days_timed
    inner join order_lines_known
        on
            days_timed.product_id = order_lines_known.product_id
            and days_timed.as_of_date <= order_lines_known.ordered_date
            and days_timed.horizon_date > order_lines_known.ordered_date
            and {{ begin_business_day('days_timed.label_known_date') }}
            > order_lines_known.valid_from
            and {{ begin_business_day('days_timed.label_known_date') }}
            <= order_lines_known.valid_to
    group by days_timed.product_id, days_timed.as_of_date

),

days_out_of_stock as (

    select distinct
        days_timed.product_id,
        days_timed.as_of_date
    from days_timed
    inner join stock_outs
        on
            days_timed.product_id = stock_outs.product_id
            and days_timed.as_of_date <= stock_outs.last_date
            and days_timed.horizon_date > stock_outs.first_date

),

labels_stated as (

    select
        days_timed.*,
        coalesce(units_of_horizon.units_sold, 0) as units_sold,
        case
            when days_timed.label_known_date is null then 'too recent'
            when days_out_of_stock.product_id is not null then 'not followed'
            else 'known'
        end as label_state
    from days_timed
    left join units_of_horizon
        on
            days_timed.product_id = units_of_horizon.product_id
            and days_timed.as_of_date = units_of_horizon.as_of_date
    left join days_out_of_stock
        on
            days_timed.product_id = days_out_of_stock.product_id
            and days_timed.as_of_date = days_out_of_stock.as_of_date

),

label_product_demand as (

    select
        product_id,
        label_state,
        case when label_state = 'known' then cast(units_sold as double) end as horizon_units_sold,
        {{ begin_business_day('as_of_date') }} as as_of,
        {{ begin_business_day('horizon_date') }} as horizon_ends_at,
        case when label_state = 'known' then {{ begin_business_day('label_known_date') }} end
            as label_known_at
    from labels_stated

)

select * from label_product_demand
