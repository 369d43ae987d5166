with subscription_history as (

    select * from {{ ref('stg_sales__subscription_history') }}

),

subscription_states as (

    select * from {{ ref('fct_subscription_states') }}

),

charges as (

    select * from {{ ref('fct_subscription_charges') }}

),

bookings as (

    select valid_from as booked_at
    from subscription_states

    union all

    -- A booking that changes nothing shows as well that the books were kept.
    select known_at as booked_at
    from subscription_history

    union all

    select known_at as booked_at
    from charges

),

int_subscription_books_dated as (

    select {{ business_date('max(booked_at)') }} as as_of_date
    from bookings

)

select * from int_subscription_books_dated
