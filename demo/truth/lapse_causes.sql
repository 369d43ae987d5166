-- What makes customers lapse. Of 1,000 orders with the cause, lapse_permille are the last order of
-- a customer who had not lapsed before. lapse_count: the customers who lapsed of it by now. A lapse
-- without a cause is by chance: 120 of 1,000 customers leave within three years, whatever happens.
select
    lapse_causes.cause,
    lapse_causes.lapse_permille,
    lapse_causes.description,
    count(orders.order_number) as lapse_count
from lapse_causes
left join customers
    on
        lapse_causes.cause = customers.lapse_cause
        and is_shown(customers.registration_shown_day_number)
        and is_shown(customers.lapsed_day_number)
left join orders
    on
        customers.lapse_order_number = orders.order_number
        and customers.customer_number = orders.customer_number
group by all
order by lapse_causes.cause;
