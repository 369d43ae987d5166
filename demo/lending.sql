-- Every loan with all its events, including future ones. One customer in four has one loan.
create table loans as

with drawn as (

    select
        customer_number,
        registered_day_number,
        country,
        bits_of('loan', customer_number) as loan_bits,
        bits_of('borrower', customer_number) as borrower_bits
    from customers

),

agreed as (

    select
        *,
        greatest(registered_day_number, 0) + 3 + draw(loan_bits, 1, 360) as opened_day_number,
        draw_from(borrower_bits, 0, [6, 12, 12, 18, 24]) as term_months,
        draw_from(borrower_bits, 1, [0, 0, 490, 690, 990, 1290]) as annual_rate_basis_points,
        (30 + draw(loan_bits, 2, 270)) * 1000 as principal_cents,
        draw(borrower_bits, 2, 100) as behaviour_draw
    from drawn
    where draw(loan_bits, 0, 1000) < 250

),

timed as (

    select
        agreed.*,
        'L' || lpad(cast(agreed.customer_number + 1 as varchar), 8, '0') as loan_id,
        countries.currency,
        case
            when agreed.behaviour_draw < 70 then 'punctual'
            when agreed.behaviour_draw < 84 then 'late'
            when agreed.behaviour_draw < 92 then 'in parts'
            else 'defaulting'
        end as behaviour,
        -- The borrower pays nothing from this instalment on.
        if(agreed.behaviour_draw < 92, null, 2 + draw(agreed.borrower_bits, 3, 4))
            as first_unpaid_number,
        moment(agreed.opened_day_number, 28800 + draw(agreed.loan_bits, 3, 36000)) as opened_at
    from agreed
    inner join countries on agreed.country = countries.country

),

loans as (

    select
        *,
        cast(opened_at as date) + to_months(cast(first_unpaid_number as integer))
        + to_days(100) + to_hours(9) as defaulted_at
    from timed

)

select * from loans;

-- The payment plan, with the manner of each payment: whole, in parts, bounced or never. late_days
-- is the delay in days.
create table instalments as

with numbered as (

    select
        *,
        unnest(range(1, term_months + 1)) as instalment_number
    from loans

),

drawn as (

    select
        *,
        bits_of('instalment', loan_id || '/' || instalment_number) as instalment_bits,
        bits_of('money', loan_id || '/' || instalment_number) as money_bits,
        annual_rate_basis_points / 120000.0 as monthly_rate
    from numbered

),

instalments as (

    select
        *,
        cast(
            cast(opened_at as date) + to_months(cast(instalment_number as integer)) as date
        ) as due_date,
        if(
            annual_rate_basis_points = 0,
            (principal_cents + term_months - 1) // term_months,
            cast(round(
                principal_cents * monthly_rate / (1 - pow(1 + monthly_rate, -term_months))
            ) as bigint)
        ) as due_cents,
        case
            when coalesce(instalment_number >= first_unpaid_number, false) then 'never'
            when draw(instalment_bits, 0, 1000) < 10 then 'bounced'
            when behaviour = 'in parts' and draw(instalment_bits, 1, 2) = 0 then 'in parts'
            else 'whole'
        end as manner,
        if(
            behaviour in ('late', 'defaulting') and draw(instalment_bits, 2, 100) < 40,
            3 + draw(instalment_bits, 3, 60),
            -draw(instalment_bits, 3, 3)
        ) as late_days,
        draw(money_bits, 0, 86400) as second_of_day,
        12 + draw(money_bits, 1, 40) as further_days
    from drawn

)

select * from instalments;

-- All states of each instalment in the lender's books, including future ones.
create table repayment_states as

with planned as (

    select
        loan_id,
        behaviour,
        instalment_number,
        due_date,
        due_cents,
        0 as state_number,
        0 as paid_cents,
        cast(null as timestamp) as paid_at,
        opened_at as booked_at
    from instalments

),

paid as (

    select
        *,
        greatest(
            due_date + to_days(cast(late_days as integer)) + to_seconds(second_of_day), opened_at
        ) as first_paid_at
    from instalments
    where manner <> 'never'

),

first_payments as (

    select
        loan_id,
        behaviour,
        instalment_number,
        due_date,
        due_cents,
        1 as state_number,
        if(manner = 'in parts', due_cents // 2, due_cents) as paid_cents,
        first_paid_at as paid_at,
        first_paid_at as booked_at
    from paid

),

bounced_payments as (

    select
        loan_id,
        behaviour,
        instalment_number,
        due_date,
        due_cents,
        2 as state_number,
        0 as paid_cents,
        cast(null as timestamp) as paid_at,
        first_paid_at + to_days(3) as booked_at
    from paid
    where manner = 'bounced'

),

last_payments as (

    select
        loan_id,
        behaviour,
        instalment_number,
        due_date,
        due_cents,
        3 as state_number,
        due_cents as paid_cents,
        first_paid_at + to_days(cast(further_days as integer)) as paid_at,
        first_paid_at + to_days(cast(further_days as integer)) as booked_at
    from paid
    where manner <> 'whole'

),

all_states as (

    select * from planned
    union all
    select * from first_payments
    union all
    select * from bounced_payments
    union all
    select * from last_payments

),

drawn as (

    select
        *,
        bits_of('booking', loan_id || '/' || instalment_number || '/' || state_number)
            as booking_bits
    from all_states

),

repayment_states as (

    select
        *,
        day_of(booked_at)
        + if(state_number = 0, 0, days_late(draw(booking_bits, 0, 1000), 80, 15))
            as exported_day_number
    from drawn

)

select * from repayment_states;

-- Loans in the lender's files: one row at the payout, and one at the default.
create table lending_loans as

with states as (

    select
        *,
        cast(null as timestamp) as known_defaulted_at,
        opened_at as updated_at
    from loans

    union all

    select
        *,
        defaulted_at as known_defaulted_at,
        defaulted_at as updated_at
    from loans
    where defaulted_at is not null

),

lending_loans as (

    select
        day_of(updated_at) as _sent_day_number,
        loan_id as _place,
        loan_id,
        customer_id_of(customer_number) as customer_id,
        cast(principal_cents * 0.01 as decimal(18, 2)) as principal,
        currency,
        term_months,
        cast(annual_rate_basis_points * 0.01 as decimal(18, 2)) as annual_rate_pct,
        draw_from(
            borrower_bits, 1, ['spectacles', 'dental work', 'hearing aid', 'physiotherapy', null]
        ) as purpose,
        strftime(opened_at, '%Y-%m-%d %H:%M:%S') as opened_at,
        strftime(known_defaulted_at, '%Y-%m-%d %H:%M:%S') as defaulted_at,
        strftime(updated_at, '%Y-%m-%d %H:%M:%S') as updated_at
    from states
    where is_news(day_of(updated_at))

)

select * from lending_loans;

-- Instalments in the lender's files: one row per booked state. Some are exported twice, and a few
-- of these repeats lack the amount.
create table lending_repayments as

with exported as (

    select
        *,
        exported_day_number as _sent_day_number,
        false as is_broken
    from repayment_states

    union all by name

    select
        *,
        exported_day_number + 1 as _sent_day_number,
        draw(booking_bits, 1, 1000) < 1 as is_broken
    from repayment_states
    where draw(booking_bits, 1, 1000) < 8

),

lending_repayments as (

    select
        _sent_day_number,
        row(loan_id, instalment_number, state_number, is_broken) as _place,
        loan_id,
        instalment_number,
        due_date,
        if(is_broken, null, cast(due_cents * 0.01 as decimal(18, 2))) as due_amount,
        strftime(paid_at, '%Y-%m-%d %H:%M:%S') as paid_at,
        if(
            state_number = 0, null, cast(paid_cents * 0.01 as decimal(18, 2))
        ) as paid_amount,
        strftime(booked_at, '%Y-%m-%d %H:%M:%S') as updated_at
    from exported
    where is_news(_sent_day_number)

)

select * from lending_repayments;
