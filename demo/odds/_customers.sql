-- Customers at the time of each row, and what may be expected of them within the horizon.
create or replace table customers_expected as

with dated as (

    select
        customers.*,
        test_rows.row_number,
        day_of(test_rows.as_of) as first_day_number,
        greatest(
            day_of(test_rows.as_of),
            least(
                day_of(test_rows.as_of) + getvariable('horizon_days'),
                coalesce(
                    lapses_known.lapsed_day_number,
                    day_of(test_rows.as_of) + getvariable('horizon_days')
                )
            )
        ) as last_day_number,
        coalesce(
            lapses_known.lapsed_day_number < day_of(test_rows.as_of) + getvariable('horizon_days'),
            false
        ) as is_lapsing,
        day_of(test_rows.as_of) - customers.registered_day_number as age_days
    from test_rows
    inner join customers
        on cast(test_rows.customer_id as bigint) - 1 = customers.customer_number
    left join lapses_known
        on
            customers.customer_number = lapses_known.customer_number
            and day_of(test_rows.as_of) >= lapses_known.known_day_number

)

select
    dated.*,
    place_share(dated.customer_number) * (last_day.by_place_before - first_day.by_place_before)
    + last_day.by_chance_before - first_day.by_chance_before as order_count,
    if(
        dated.is_lapsing,
        0,
        (left_by(dated.age_days + getvariable('horizon_days')) - left_by(dated.age_days))
        / (1 - left_by(dated.age_days))
    ) as leaving_share
from dated
inner join orders_expected as first_day on dated.first_day_number = first_day.day_number
inner join orders_expected as last_day on dated.last_day_number = last_day.day_number;
