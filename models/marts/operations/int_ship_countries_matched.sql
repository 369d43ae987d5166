with order_lines as (

    select * from {{ ref('fct_order_lines') }}

),

country_spellings as (

    select * from {{ ref('country_spellings') }}

),

dim_holiday as (

    select * from {{ ref('dim_holiday') }}

),

orders_counted as (

    select
        ship_country,
        count(distinct order_id) as order_count
    from order_lines
    where is_sale
    group by ship_country

),

countries_ruled as (

    select country
    from dim_holiday
    group by country

),

countries_matched as (

    select
        orders_counted.ship_country,
        coalesce(country_spellings.country, countries_ruled.country) as country,
        orders_counted.order_count
    from orders_counted
    left join country_spellings on orders_counted.ship_country = country_spellings.spelling
    left join countries_ruled on upper(trim(orders_counted.ship_country)) = countries_ruled.country

),

int_ship_countries_matched as (

    select
        countries_matched.ship_country,
        countries_matched.country,
        countries_matched.order_count,
        countries_ruled.country is not null as has_holiday_rules
    from countries_matched
    left join countries_ruled on countries_matched.country = countries_ruled.country

)

select * from int_ship_countries_matched
