-- Whether a customer buys a product within 28 days. The first line of an order is for the favourite
-- in four orders of ten. Half of the other lines belong to the first product, the others are drawn
-- by popularity. A product out of season gives way to a popular one.
with candidates as (

    select
        expected.row_number,
        expected.order_count * (1 - expected.leaving_share / 2) as order_count,
        products_listed.product_number,
        products_by(expected.first_day_number) as product_count,
        favourites.product_number as favourite_number,
        favourites.month_permille[month(moment(expected.first_day_number + 14, 0))] / 1000
            as favourite_season,
        products_listed.month_permille[month(moment(expected.first_day_number + 14, 0))] / 1000
            as season
    from customers_expected as expected
    inner join test_rows on expected.row_number = test_rows.row_number
    inner join products_listed on test_rows.product_id = products_listed.product_id
    inner join favourites on expected.customer_number = favourites.customer_number

),

-- The lines of one order, beyond the first one, that belong to the favourite.
companions as (

    select
        candidates.row_number,
        sum(
            line_shares.line_share * 0.5 * cast(
                (candidates.favourite_number * 37 + line_shares.line_number * 101)
                % products_by(-1) = candidates.product_number
                as integer
            )
        ) as favourite_lines,
        sum(line_shares.line_share) as further_lines
    from candidates
    cross join line_shares
    group by candidates.row_number

)

select
    candidates.row_number,
    1 - exp(-candidates.order_count * (
        candidates.season * (
            0.4 * cast(candidates.favourite_number = candidates.product_number as integer)
            + 0.6 * popularity_of(candidates.product_number, candidates.product_count)
            + 0.4 * companions.favourite_lines
            + companions.further_lines * 0.5 * (
                0.6 / candidates.product_count
                + popularity_of(candidates.product_number, candidates.product_count)
            )
        )
        + 0.4 * (1 - candidates.favourite_season)
        * popularity_of(candidates.product_number, candidates.product_count)
    )) as odds
from candidates
inner join companions on candidates.row_number = companions.row_number;
