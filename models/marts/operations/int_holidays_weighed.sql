with ship_countries as (

    select * from {{ ref('int_ship_countries_matched') }}

),

dim_holiday as (

    select * from {{ ref('dim_holiday') }}

),

-- Orders to unknown countries rank last, so that they do not take the place of the first country.
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

int_holidays_weighed as (

    select
        max(case when countries_shared.country_rank = 1 then dim_holiday.holiday_name end)
            as holiday_name,
        -- In one order: a sum of doubles depends on it in its last digit.
        sum(countries_shared.order_share order by countries_shared.country) as order_share,
        dim_holiday.holiday_date
    from dim_holiday
    inner join countries_shared on dim_holiday.country = countries_shared.country
    group by dim_holiday.holiday_date

)

select * from int_holidays_weighed
