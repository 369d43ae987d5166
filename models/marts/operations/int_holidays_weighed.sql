with ship_countries as (

    select * from {{ ref('int_ship_countries_matched') }}

),

dim_holiday as (

    select * from {{ ref('dim_holiday') }}

),

-- Orders to unknown countries rank last, so that they do not take the place of the first country.
countries_counted as (

    select
        country,
        sum(order_count) as order_count,
        sum(sum(order_count)) over () as shop_order_count,
        row_number() over (
            order by case when country is null then 1 else 0 end, sum(order_count) desc, country
        ) as country_rank
    from ship_countries
    group by country

),

int_holidays_weighed as (

    select
        max(case when countries_counted.country_rank = 1 then dim_holiday.holiday_name end)
            as holiday_name,
        -- Divided last: the last digit of a sum of doubles depends on their order.
        sum(countries_counted.order_count) * 1e0 / max(countries_counted.shop_order_count)
            as order_share,
        dim_holiday.holiday_date
    from dim_holiday
    inner join countries_counted on dim_holiday.country = countries_counted.country
    group by dim_holiday.holiday_date

)

select * from int_holidays_weighed
