-- Each state of an instalment in the lender's books by the clock's day, with the payment behaviour
-- of the borrower.
select
    loan_id,
    behaviour,
    instalment_number,
    due_date,
    cast(due_cents * 0.01 as decimal(18, 2)) as due_amount,
    cast(paid_cents * 0.01 as decimal(18, 2)) as paid_amount,
    booked_at
from repayment_states
where is_shown(exported_day_number)
order by loan_id, instalment_number, booked_at;
