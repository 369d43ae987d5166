-- The 20 customers with the most referrals, and the total numbers of referrals and of referrers.
with edges as (

    select
        referrer_number,
        customer_number
    from customers
    where is_shown(registration_shown_day_number) and referrer_number is not null

)

select
    customer_id_of(referrer_number) as customer_id,
    count(*) as referred_customer_count,
    sum(count(*)) over () as edge_count,
    count(*) over () as referrer_count
from edges
group by referrer_number
order by referred_customer_count desc, customer_id asc
limit 20;
