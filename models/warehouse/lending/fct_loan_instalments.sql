with repayment_history as (

    select * from {{ ref('stg_lending__repayment_history') }}

),

instalment_states as (

    select * from {{ ref('fct_loan_instalment_states') }}

),

loans as (

    select * from {{ ref('fct_loans') }}

),

loan_books as (

    select * from {{ ref('int_loan_books_dated') }}

),

instalments_with_loan as (

    select
        instalment_states.loan_id,
        instalment_states.instalment_number,
        loans.customer_id,
        loans.customer_key,
        loans.currency,
        instalment_states.due_amount,
        instalment_states.paid_amount,
        instalment_states.outstanding_amount,
        instalment_states.is_settled,
        instalment_states.due_date,
        loan_books.as_of_date,
        case
            when instalment_states.is_settled
                then coalesce(repayment_history.paid_at, instalment_states.valid_from)
        end as settled_at,
        {{ select_latest_load('loans', 'repayment_history') }}
    from instalment_states
    inner join repayment_history
        on
            instalment_states.loan_id = repayment_history.loan_id
            and instalment_states.instalment_number = repayment_history.instalment_number
    inner join loans on instalment_states.loan_id = loans.loan_id
    cross join loan_books
    where instalment_states.is_current and repayment_history.is_latest

),

fct_loan_instalments as (

    select
        loan_id,
        instalment_number,
        customer_id,
        customer_key,
        currency,
        due_amount,
        paid_amount,
        outstanding_amount,
        cast({{ count_days_past_due('due_date', 'settled_at', 'as_of_date') }} as integer)
            as days_past_due,
        is_settled,
        due_date < as_of_date as is_due,
        due_date,
        as_of_date,
        nullif(settled_at, {{ beginning_of_time() }}) as settled_at,
        _loaded_at,
        _is_backfill
    from instalments_with_loan

)

select * from fct_loan_instalments
