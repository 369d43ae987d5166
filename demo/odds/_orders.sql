-- What plans.sql and sales.sql lead one to expect, for the odds of customers and products. The
-- reader knows all that has begun: who has lapsed, who is about to, favourites, prices and seasons.
-- Orders, lapses and draws of the days to come are not known.

-- Every hundred customers share their orders unequally: the first of them gets a tenth.
create or replace macro place_share(customer_number) as (
    sqrt((customer_number % 100 + 1) / 100) - sqrt(customer_number % 100 / 100)
);

-- The chance of a product in a draw by popularity.
create or replace macro popularity_of(product_number, product_count) as if(
    product_number < product_count,
    sqrt((product_number + 1) / product_count) - sqrt(product_number / product_count),
    0
);

create or replace macro mean_of(list) as list_sum(list) / len(list);

-- The share of customers who leave for reasons of their own by so many days of age.
create or replace macro left_by(age_days) as 0.12 * greatest(0, least(1, (age_days - 30) / 960));

-- Orders of the days before each day. `by_place` is to be multiplied by a customer's place_share;
-- `by_chance` are those that lapsed customers leave to any other one.
create or replace table orders_expected as

with days as (

    select
        day_number,
        month_number,
        usual_order_permille / 1000 as order_count,
        customers_by(day_number - 1) as customer_count
    from calendar

),

months as (

    select
        month_number,
        avg(cast(customer_number is distinct from first_choice as integer)) as passed_on_share
    from orders
    where first_choice is not null and responding_customer_number is null
    group by month_number

)

select
    days.day_number,
    days.order_count,
    coalesce(sum(days.order_count) over before_day, 0) as order_count_before,
    coalesce(sum(0.83 * 100 * days.order_count / days.customer_count) over before_day, 0)
        as by_place_before,
    coalesce(sum(
        0.93 * months.passed_on_share * (1 + months.passed_on_share)
        * days.order_count / days.customer_count
    ) over before_day, 0) as by_chance_before
from days
inner join months on days.month_number = months.month_number
window before_day as (
    order by days.day_number rows between unbounded preceding and 1 preceding
);

-- A lapse is known from the order on that causes it.
create or replace table lapses_known as

select
    customers.customer_number,
    customers.lapsed_day_number,
    coalesce(orders.day_number + 1, customers.lapsed_day_number) as known_day_number
from customers
left join orders on customers.lapse_order_number = orders.order_number
where customers.lapsed_day_number is not null;

-- Each product with its seasons; without seasons it sells alike in all months.
create or replace table products_listed as

select
    products.product_number,
    product_id_of(products.product_number) as product_id,
    coalesce(seasons.month_permille, list_transform(range(12), lambda _: 1000))
        as month_permille
from products
left join seasons on products.category = seasons.category;

create or replace table favourites as

select
    customers.customer_number,
    products_listed.product_number,
    products_listed.month_permille
from customers
inner join products_listed
    on customers.customer_number * 7919 % products_by(-1) = products_listed.product_number;

-- The share of orders that have a second line, a third one, and so on.
create or replace table line_shares as

select
    places.line_number,
    avg(cast(counts.line_count >= places.line_number as integer)) as line_share
from range(2, 7) as places (line_number)
cross join (select unnest(getvariable('line_counts_by_share')) as line_count) as counts
group by places.line_number;
