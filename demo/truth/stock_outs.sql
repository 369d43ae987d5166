-- Products that were out of stock, on which days, and the number of lines that sold a substitute.
with days as (

    select
        product_number,
        day_number,
        day_number - row_number() over (partition by product_number order by day_number) as run
    from stock_out_days
    where is_shown(day_number)

),

runs as (

    select
        product_number,
        min(day_number) as first_day_number,
        max(day_number) as last_day_number
    from days
    group by product_number, run

)

select
    product_id_of(runs.product_number) as product_id,
    cast(moment(runs.first_day_number, 0) as date) as first_date,
    cast(moment(runs.last_day_number, 0) as date) as last_date,
    count(order_lines.order_number) as lost_line_count
from runs
left join order_lines
    on
        runs.product_number = order_lines.wanted_product_number
        and order_lines.day_number between runs.first_day_number and runs.last_day_number
        and is_shown(order_lines.placement_shown_day_number)
group by all
order by product_id, first_date;
