-- How every loan is paid back: each state of an instalment that the books have shown by the clock's
-- day, with the borrower's way of paying.
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
