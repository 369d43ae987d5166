-- Fraudulent payments, by a ring of thieves or by a lone thief.
-- reported_at: null if the cardholder did not report the fraud by the clock's day.
select
    payments.transaction_id,
    payments.kind,
    frauds.ring,
    payments.transacted_at,
    if(is_shown(chargebacks.reported_day_number), frauds.reported_at, null) as reported_at
from payments
inner join frauds on payments.subject = frauds.subject
left join chargebacks on payments.subject = chargebacks.subject
where is_shown(payments.reported_day_number)
order by payments.transaction_id;
