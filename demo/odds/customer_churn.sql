-- Who has left at the horizon's end: no order in 120 days, and no visit in the last 30 of them. In
-- half of their visits customers log in; without an order there are twice as many visits.
with visits_expected as (

    select
        expected.*,
        if(
            expected.is_lapsing,
            0,
            2 * 0.45 * 0.5 / 0.83 * place_share(expected.customer_number)
            * (last_day.by_place_before - month_before.by_place_before)
        ) as visit_count
    from customers_expected as expected
    inner join orders_expected as last_day
        on expected.first_day_number + 120 = last_day.day_number
    inner join orders_expected as month_before
        on expected.first_day_number + 90 = month_before.day_number

)

select
    row_number,
    (1 - leaving_share) * exp(-order_count - visit_count)
    + leaving_share * if(order_count > 0, (1 - exp(-order_count)) / order_count, 1) as odds
from visits_expected;
