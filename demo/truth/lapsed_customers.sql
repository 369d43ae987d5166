-- Customers who stopped buying: from lapsed_date on they place no order, whatever they did before.
select
    customer_id_of(customer_number) as customer_id,
    cast(moment(lapsed_day_number, 0) as date) as lapsed_date
from customers
where is_shown(registration_shown_day_number) and is_shown(lapsed_day_number)
order by customer_id;
