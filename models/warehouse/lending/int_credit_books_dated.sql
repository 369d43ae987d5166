with line_history as (

    select * from {{ ref('stg_lending__credit_line_history') }}

),

statement_history as (

    select * from {{ ref('stg_lending__statement_history') }}

),

line_states as (

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

    -- A booking that changes nothing shows as well that the books were kept.
    select known_at as booked_at
    from line_history

    union all

    select known_at as booked_at
    from statement_history

    union all

    select closed_at as booked_at
    from line_states

    union all

    select defaulted_at as booked_at
    from line_states

),

int_credit_books_dated as (

    select {{ business_date('max(booked_at)') }} as as_of_date
    from bookings

)

select * from int_credit_books_dated
