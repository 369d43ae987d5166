{{ config(materialized='table_function', parameters=['first_day', 'last_day']) }}

with order_lines as (

    select * from {{ ref('fct_order_lines').include(database=false) }}

),

sales_between as (

    select
        product_id,
        currency,
        count(distinct case when is_sale then order_id end) as order_count,
        cast(sum(case when is_sale then quantity else 0 end) as bigint) as units_sold,
        cast(sum(case when is_return then quantity else 0 end) as bigint) as units_returned,
        cast(sum(net_amount) as decimal(18, 4)) as net_sales_amount
    from order_lines
    where
        is_in_net_sales
        and booked_date between cast(first_day as date) and cast(last_day as date)
    group by product_id, currency

)

select * from sales_between
