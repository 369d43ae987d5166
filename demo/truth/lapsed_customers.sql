-- Customers who stopped buying: they place no order from lapsed_date on.
select
    customer_id_of(customer_number) as customer_id,
    cast(moment(lapsed_day_number, 0) as date) as lapsed_date
from customers
where is_shown(registration_shown_day_number) and is_shown(lapsed_day_number)
order by customer_id;
