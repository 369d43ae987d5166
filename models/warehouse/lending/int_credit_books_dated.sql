with line_states as (

    select * from {{ ref('fct_credit_line_states') }}

),

statement_states as (

    select * from {{ ref('fct_statement_states') }}

),

bookings as (

    select valid_from as booked_at
    from statement_states

    union all

    select valid_from as booked_at
    from line_states

    union all

    select closed_at as booked_at
    from line_states

    union all

    select defaulted_at as booked_at
    from line_states

),

int_credit_books_dated as (

    select cast(max(booked_at) as date) as as_of_date
    from bookings

)

select * from int_credit_books_dated
