-- Whether a payment will be known as fraud: 85 of 100 frauds are reported, and of honest payments
-- six of 10,000, by cardholders who do not recognise them.
select
    test_rows.row_number,
    case
        when payments.kind is not null then 0.85
        when payments.charged_cents > 0 then 0.0006
        else 0
    end as odds
from test_rows
inner join payments on test_rows.transaction_id = payments.transaction_id;
