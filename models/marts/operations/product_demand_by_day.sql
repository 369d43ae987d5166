with order_lines as (

    select * from {{ ref('fct_order_lines') }}

),

product_history as (

    select * from {{ ref('stg_shop__product_history') }}

),

dim_product as (

    select * from {{ ref('dim_product') }}

),

dim_date as (

    select * from {{ ref('dim_date') }}

),

dim_holiday as (

    select * from {{ ref('dim_holiday') }}

),

ship_countries as (

    select * from {{ ref('int_ship_countries_matched') }}

),

days_bounded as (

    select
        min(ordered_date) as first_date,
        max(ordered_date) as last_date
    from order_lines

),

demand_summed as (

    select
        product_id,
        ordered_date,
        count(distinct case when is_sale then order_id end) as order_count,
        count(distinct case when not is_return then order_id end) as placed_order_count,
        sum(case when is_sale then quantity else 0 end) as units_sold,
        sum(case when is_return then quantity else 0 end) as units_returned
    from order_lines
    group by product_id, ordered_date

),

sales_bounded as (

    select
        product_id,
        min(ordered_date) as first_ordered_date,
        max(ordered_date) as last_ordered_date
    from demand_summed
    group by product_id

),

listings_bounded as (

    select
        product_id,
        cast(min(case when not is_deleted then changed_at end) as date) as first_listed_date,
        cast(max(case when is_deleted and is_latest then changed_at end) as date)
            as delisted_date
    from product_history
    group by product_id

),

products_known as (

    select product_id from sales_bounded
    union distinct
    select product_id from listings_bounded

),

-- From when it was listed or sold, to when it was taken off the list or the data end.
products_bounded as (

    select
        products_known.product_id,
        greatest(
            days_bounded.first_date,
            least(
                coalesce(sales_bounded.first_ordered_date, listings_bounded.first_listed_date),
                coalesce(listings_bounded.first_listed_date, sales_bounded.first_ordered_date)
            )
        ) as first_date,
        least(
            days_bounded.last_date,
            case
                when listings_bounded.delisted_date is null then days_bounded.last_date
                else
                    greatest(
                        listings_bounded.delisted_date,
                        coalesce(
                            sales_bounded.last_ordered_date, listings_bounded.delisted_date
                        )
                    )
            end
        ) as last_date
    from products_known
    cross join days_bounded
    left join sales_bounded on products_known.product_id = sales_bounded.product_id
    left join listings_bounded on products_known.product_id = listings_bounded.product_id

),

-- The version of a product at the beginning of a day holds for the day: so a version has its days,
-- and no day has to look for its version.
versions_bounded as (

    select
        products_bounded.product_id,
        dim_product.category,
        dim_product.list_price_currency,
        dim_product.list_price,
        coalesce(dim_product.is_deleted, false) as is_deleted,
        case
            when dim_product.valid_from > cast(products_bounded.first_date as timestamp)
                then
                    {{ dbt.dateadd(
                        'day',
                        'case when dim_product.valid_from > cast(cast(dim_product.valid_from as date)'
                        ~ ' as timestamp) then 1 else 0 end',
                        'cast(dim_product.valid_from as date)'
                    ) }}
            else products_bounded.first_date
        end as first_date,
        case
            when dim_product.valid_to <= cast(products_bounded.last_date as timestamp)
                then
                    {{ dbt.dateadd(
                        'day',
                        'case when dim_product.valid_to > cast(cast(dim_product.valid_to as date)'
                        ~ ' as timestamp) then 0 else -1 end',
                        'cast(dim_product.valid_to as date)'
                    ) }}
            else products_bounded.last_date
        end as last_date
    from products_bounded
    left join dim_product on products_bounded.product_id = dim_product.product_id

),

product_days as (

    select
        product_id,
        category,
        list_price_currency,
        list_price,
        is_deleted,
        {{ list_days('cast(first_date as date)', 'cast(last_date as date)') }} as ordered_date
    from versions_bounded
    where first_date <= last_date

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

    select {{ list_days(
        'first_date', dbt.dateadd('day', 1, 'last_date')
    ) }} as date_day
    from days_bounded

),

-- Time is counted in orders of the whole shop: a day on which nobody orders anything says nothing.
shop_orders_summed as (

    select
        shop_days.date_day,
        coalesce(sum(shop_orders_counted.order_count) over (
            order by shop_days.date_day rows between unbounded preceding and 1 preceding
        ), 0) as orders_before
    from shop_days
    left join shop_orders_counted on shop_days.date_day = shop_orders_counted.ordered_date

),

demand_followed as (

    select
        product_id,
        ordered_date,
        lead(ordered_date) over (partition by product_id order by ordered_date)
            as next_ordered_date,
        coalesce(sum(placed_order_count) over (
            partition by product_id order by ordered_date
            range between interval '{{ var('stock_out_history_days') }}' day preceding
            and interval '1' day preceding
        ), 0) as recent_order_count
    from demand_summed
    where placed_order_count > 0

),

-- What is off the list is missed by nobody: a gap ends where the product was taken off.
delistings_found as (

    select
        demand_followed.product_id,
        demand_followed.ordered_date,
        cast(min(greatest(
            versions_bounded.first_date,
            {{ dbt.dateadd('day', 1, 'demand_followed.ordered_date') }}
        )) as date) as delisted_date
    from demand_followed
    inner join versions_bounded
        on
            demand_followed.product_id = versions_bounded.product_id
            and demand_followed.ordered_date < versions_bounded.last_date
    where
        versions_bounded.is_deleted
        and versions_bounded.first_date <= versions_bounded.last_date
    group by demand_followed.product_id, demand_followed.ordered_date

),

gaps_found as (

    select
        demand_followed.product_id,
        demand_followed.recent_order_count,
        demand_followed.ordered_date,
        cast({{ dbt.dateadd('day', 1, 'demand_followed.ordered_date') }} as date)
            as first_empty_date,
        least(
            coalesce(
                demand_followed.next_ordered_date,
                cast({{ dbt.dateadd('day', 1, 'products_bounded.last_date') }} as date)
            ),
            coalesce(delistings_found.delisted_date, cast({{ end_of_time() }} as date))
        ) as gap_end_date,
        greatest(
            products_bounded.first_date,
            cast({{ dbt.dateadd(
                'day', -var('stock_out_history_days'), 'demand_followed.ordered_date'
            ) }} as date)
        ) as history_start_date
    from demand_followed
    inner join products_bounded on demand_followed.product_id = products_bounded.product_id
    left join delistings_found
        on
            demand_followed.product_id = delistings_found.product_id
            and demand_followed.ordered_date = delistings_found.ordered_date

),

gaps_measured as (

    select
        gaps_found.product_id,
        gaps_found.recent_order_count,
        at_gap.orders_before - at_start.orders_before as recent_shop_orders,
        at_end.orders_before - after_last_order.orders_before as missed_shop_orders,
        gaps_found.first_empty_date,
        gaps_found.gap_end_date
    from gaps_found
    inner join shop_orders_summed as at_start
        on gaps_found.history_start_date = at_start.date_day
    inner join shop_orders_summed as at_gap
        on gaps_found.ordered_date = at_gap.date_day
    inner join shop_orders_summed as after_last_order
        on gaps_found.first_empty_date = after_last_order.date_day
    inner join shop_orders_summed as at_end
        on gaps_found.gap_end_date = at_end.date_day
    where
        gaps_found.first_empty_date < gaps_found.gap_end_date
        and {{ dbt.datediff('gaps_found.first_empty_date', 'gaps_found.gap_end_date', 'day') }}
        <= {{ var('stock_out_history_days') }}

),

stock_outs_suspected as (

    select
        product_id,
        first_empty_date,
        gap_end_date
    from gaps_measured
    where
        {{ compute_empty_gap_probability(
            'recent_order_count', 'recent_shop_orders', 'missed_shop_orders'
        ) }} < {{ var('stock_out_threshold') }}

),

stock_out_days as (

    select
        product_days.product_id,
        product_days.ordered_date
    from product_days
    inner join stock_outs_suspected
        on
            product_days.product_id = stock_outs_suspected.product_id
            and product_days.ordered_date >= stock_outs_suspected.first_empty_date
            and product_days.ordered_date < stock_outs_suspected.gap_end_date

),

-- What is sent to no country that is known must not take the place of the first.
countries_shared as (

    select
        country,
        sum(order_count) * 1e0 / sum(sum(order_count)) over () as order_share,
        row_number() over (
            order by case when country is null then 1 else 0 end, sum(order_count) desc, country
        ) as country_rank
    from ship_countries
    group by country

),

holidays_weighed as (

    select
        dim_holiday.holiday_date,
        sum(countries_shared.order_share) as holiday_order_share,
        max(case when countries_shared.country_rank = 1 then dim_holiday.holiday_name end)
            as holiday_name
    from dim_holiday
    inner join countries_shared on dim_holiday.country = countries_shared.country
    group by dim_holiday.holiday_date

),

product_demand_by_day as (

    select
        product_days.product_id,
        product_days.category,
        holidays_weighed.holiday_name,
        product_days.list_price_currency,
        product_days.list_price,
        coalesce(demand_summed.order_count, 0) as order_count,
        cast(coalesce(demand_summed.units_sold, 0) as bigint) as units_sold,
        cast(coalesce(demand_summed.units_returned, 0) as bigint) as units_returned,
        dim_date.calendar_year,
        dim_date.calendar_month,
        dim_date.iso_day_of_week,
        coalesce(holidays_weighed.holiday_order_share, 0) as holiday_order_share,
        dim_date.is_weekend,
        holidays_weighed.holiday_name is not null as is_holiday,
        stock_out_days.product_id is not null as is_suspected_stock_out,
        product_days.ordered_date
    from product_days
    inner join dim_date on product_days.ordered_date = dim_date.date_day
    left join demand_summed
        on
            product_days.product_id = demand_summed.product_id
            and product_days.ordered_date = demand_summed.ordered_date
    left join holidays_weighed on product_days.ordered_date = holidays_weighed.holiday_date
    left join stock_out_days
        on
            product_days.product_id = stock_out_days.product_id
            and product_days.ordered_date = stock_out_days.ordered_date
    where not product_days.is_deleted or demand_summed.product_id is not null

)

select * from product_demand_by_day
