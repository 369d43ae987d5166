with holidays as (

    select * from {{ ref('dim_holiday') }}

),

lines_sold as (

    select * from {{ ref('int_lines_sold_listed') }}

),

latest_day as (

    select {{ add_days(business_date('max(valid_from)'), '1') }} as as_of_date
    from {{ ref('fct_order_status_changes') }}

),

products_now as (

    select
        lines_sold.product_id,
        latest_day.as_of_date,
        {{ begin_business_day('latest_day.as_of_date') }} as as_of
    from lines_sold
    cross join latest_day
    where lines_sold.product_id is not null
    group by lines_sold.product_id, latest_day.as_of_date
    having
        max({{ business_date('lines_sold.happened_at') }})
        >= {{ add_days('latest_day.as_of_date', -var('product_life_days')) }}

),

holidays_counted as (

    {{ count_horizon_holidays('products_now', 'holidays') }}

),

score_product_demand as (

    {{ describe_products_at('holidays_counted', columns=['product_id', 'as_of']) }}

)

select * from score_product_demand
