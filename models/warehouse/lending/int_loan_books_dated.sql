with loans as (

    select * from {{ ref('fct_loans') }}

),

instalment_states as (

    select * from {{ ref('fct_loan_instalment_states') }}

),

bookings as (

    select valid_from as booked_at
    from instalment_states

    union all

    select opened_at as booked_at
    from loans

    union all

    select defaulted_at as booked_at
    from loans

),

int_loan_books_dated as (

    select {{ business_date('max(booked_at)') }} as as_of_date
    from bookings

)

select * from int_loan_books_dated
