-- Customers who stopped buying: they place no order from lapsed_date on. cause is null if they left
-- for reasons of their own; order_id is the order that caused the lapse.
select
    customer_id_of(customers.customer_number) as customer_id,
    cast(moment(customers.lapsed_day_number, 0) as date) as lapsed_date,
    if(orders.order_number is null, null, customers.lapse_cause) as cause,
    order_id_of(orders.order_number) as order_id
from customers
left join orders
    on
        customers.lapse_order_number = orders.order_number
        and customers.customer_number = orders.customer_number
where is_shown(customers.registration_shown_day_number) and is_shown(customers.lapsed_day_number)
order by customer_id;
