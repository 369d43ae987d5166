-- The units of a product within seven days: the median, since the metric is an absolute error. The
-- number of lines is Poisson's, and the quantity of a line is drawn.
with days as (

    select distinct day_of(as_of) as day_number
    from test_rows

),

-- The share of all orders whose first product is the buyer's favourite, by favourite.
favourites_bought as (

    select
        days.day_number,
        favourites.product_number,
        0.4 * sum(
            0.83 * 100 * place_share(favourites.customer_number)
            / customers_by(days.day_number - 1)
        ) as order_share
    from days
    inner join favourites on favourites.customer_number < customers_by(days.day_number - 1)
    left join lapses_known
        on
            favourites.customer_number = lapses_known.customer_number
            and days.day_number >= lapses_known.lapsed_day_number
    where lapses_known.customer_number is null
    group by days.day_number, favourites.product_number

),

-- Orders of new customers, and those that lapsed customers leave, have any favourite.
firsts_known as (

    select
        day_number,
        sum(order_share) as order_share
    from favourites_bought
    group by day_number

),

first_lines as (

    select
        days.day_number,
        products_listed.product_number,
        products_listed.product_id,
        month(moment(days.day_number + 3, 0)) as month_of_year,
        products_listed.month_permille[month(moment(days.day_number + 3, 0))] / 1000 as season,
        popularity_of(products_listed.product_number, products_by(days.day_number)) as popularity,
        coalesce(favourites_bought.order_share, 0)
        + if(
            products_listed.product_number < products_by(-1),
            (0.4 * 0.93 - firsts_known.order_share) / products_by(-1),
            0
        )
        + (1 - 0.4 * 0.93)
        * popularity_of(products_listed.product_number, products_by(days.day_number))
            as line_share
    from days
    cross join products_listed
    inner join firsts_known on days.day_number = firsts_known.day_number
    left join favourites_bought
        on
            days.day_number = favourites_bought.day_number
            and products_listed.product_number = favourites_bought.product_number

),

further_lines as (

    select
        first_lines.day_number,
        (first_lines.product_number * 37 + line_shares.line_number * 101) % products_by(-1)
            as product_number,
        sum(first_lines.line_share * line_shares.line_share * 0.5) as line_share
    from first_lines
    cross join line_shares
    group by all

),

lines_considered as (

    select
        first_lines.*,
        first_lines.line_share + coalesce(further_lines.line_share, 0)
        + (mean_of(getvariable('line_counts_by_share')) - 1) * 0.5 * first_lines.popularity
            as considered_share
    from first_lines
    left join further_lines
        on
            first_lines.day_number = further_lines.day_number
            and first_lines.product_number = further_lines.product_number

),

lines_wanted as (

    select
        day_number,
        product_id,
        considered_share * season
        + popularity * sum(considered_share * (1 - season)) over (partition by day_number)
            as wanted_share
    from lines_considered

),

-- Less cancelled orders, and the lines of orders that are sent back.
units_expected as (

    select
        test_rows.row_number,
        lines_wanted.wanted_share * 0.96 * (1 - 0.06 * 0.64)
        * (last_day.order_count_before - first_day.order_count_before)
        * mean_of(getvariable('quantities_by_share')) as units
    from test_rows
    inner join lines_wanted
        on
            day_of(test_rows.as_of) = lines_wanted.day_number
            and test_rows.product_id = lines_wanted.product_id
    inner join orders_expected as first_day on day_of(test_rows.as_of) = first_day.day_number
    inner join orders_expected as last_day on day_of(test_rows.as_of) + 7 = last_day.day_number

)

-- The median of such a sum is below its mean by a sixth of its third moment to its second.
select
    row_number,
    greatest(
        0,
        units - mean_of(list_transform(getvariable('quantities_by_share'), lambda n: n * n * n))
        / mean_of(list_transform(getvariable('quantities_by_share'), lambda n: n * n)) / 6
    ) as odds
from units_expected;
