with subscription_states as (

    select * from {{ ref('fct_subscription_states') }}

),

charges as (

    select * from {{ ref('fct_subscription_charges') }}

),

bookings as (

    select valid_from as booked_at
    from subscription_states

    union all

    select known_at as booked_at
    from charges

),

int_subscription_books_dated as (

    select cast(max(booked_at) as date) as as_of_date
    from bookings

)

select * from int_subscription_books_dated
