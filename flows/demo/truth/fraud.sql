-- Payments that were fraud, by a ring of thieves or a lone one, and when the holder of the card saw
-- it; null if that has not happened by the clock's day.
select
    transaction_id,
    kind,
    frauds.ring,
    payments.transacted_at,
    if(is_shown(day_of(frauds.reported_at)), frauds.reported_at, null) as reported_at
from payments
inner join frauds using (subject, kind)
where is_shown(payments.reported_day_number)
order by transaction_id;
