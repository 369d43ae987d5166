-- The revenue of 90 days: the orders that may be expected, times the amount of one. The first line
-- is for the favourite in four orders of ten. Half of the other lines belong to the first product,
-- which makes them any product; the others are drawn by popularity.
with prices as (

    select
        product_number,
        month_number,
        price_after_cents / 100 as price,
        popularity_of(product_number, products_by(-1)) as popularity
    from product_months
    where product_number < products_by(-1)

),

mean_prices as (

    select
        month_number,
        sum(price * popularity) as popular_price,
        avg(price) as any_price
    from prices
    group by month_number

),

-- Some orders make the customer lapse.
lapsing as (

    select
        count(disappointments.order_number)
        / count(orders.order_number) as lapse_share
    from orders
    left join disappointments on orders.order_number = disappointments.order_number
    where orders.customer_number is not null

),

customers_placed as (

    select
        expected.*,
        calendar.month_number,
        month(moment(expected.first_day_number + 45, 0)) as month_of_year,
        if(
            coalesce(expected.moved_at <= moment(expected.first_day_number, 0), false),
            expected.new_country,
            expected.country
        ) as current_country
    from customers_expected as expected
    inner join calendar on expected.first_day_number = calendar.day_number

),

amounts_expected as (

    select
        customers_placed.row_number,
        (1 - exp(-lapsing.lapse_share * customers_placed.order_count))
        / lapsing.lapse_share * (1 - customers_placed.leaving_share / 2) as order_count,
        customers_placed.current_country,
        (
            0.4 * favourites.month_permille[customers_placed.month_of_year] / 1000 * prices.price
            + (1 - 0.4 * favourites.month_permille[customers_placed.month_of_year] / 1000)
            * mean_prices.popular_price
            + (mean_of(getvariable('line_counts_by_share')) - 1)
            * (mean_prices.any_price + mean_prices.popular_price) / 2
        )
        * mean_of(getvariable('quantities_by_share'))
        -- Less discounts, cancelled orders, and the lines of orders that are sent back.
        * (1 - 0.08 * 0.1 - 0.04 * 0.2) * 0.96 * (1 - 0.06 * 0.64) as amount
    from customers_placed
    cross join lapsing
    inner join favourites on customers_placed.customer_number = favourites.customer_number
    inner join prices
        on
            favourites.product_number = prices.product_number
            and customers_placed.month_number = prices.month_number
    inner join mean_prices on customers_placed.month_number = mean_prices.month_number

),

-- Three orders of a hundred go to any country.
currencies as (

    select
        currency,
        sum(share_pct) / 100 as share
    from countries
    group by currency

)

select
    amounts_expected.row_number,
    amounts_expected.order_count * amounts_expected.amount * rates.rate_pct / 100
    * (
        0.97 * cast(home.currency = test_rows.currency as integer) + 0.03 * currencies.share
    ) as odds
from amounts_expected
inner join test_rows on amounts_expected.row_number = test_rows.row_number
inner join countries as home on amounts_expected.current_country = home.country
inner join currencies on test_rows.currency = currencies.currency
inner join (select distinct
    currency,
    rate_pct
from countries) as rates
    on test_rows.currency = rates.currency;
