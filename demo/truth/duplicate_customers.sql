-- Duplicate accounts, each with the first account of the same person.
select
    customer_id_of(customer_number) as customer_id,
    customer_id_of(person_number) as first_customer_id
from customers
where is_shown(registration_shown_day_number) and customer_number <> person_number
order by customer_id;
