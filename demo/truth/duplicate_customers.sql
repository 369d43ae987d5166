-- Accounts of one person: every account but the person's first, and the one that it repeats.
select
    customer_id_of(customer_number) as customer_id,
    customer_id_of(person_number) as first_customer_id
from customers
where is_shown(registration_shown_day_number) and customer_number <> person_number
order by customer_id;
