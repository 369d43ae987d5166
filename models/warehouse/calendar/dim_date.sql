with orders as (

    select * from {{ ref('fct_orders') }}

),

order_lines as (

    select * from {{ ref('fct_order_lines') }}

),

payments as (

    select * from {{ ref('fct_payments') }}

),

web_events as (

    select * from {{ ref('fct_web_events') }}

),

sensor_readings as (

    select * from {{ ref('fct_sensor_readings') }}

),

loans as (

    select * from {{ ref('fct_loans') }}

),

reviews as (

    select * from {{ ref('fct_reviews') }}

),

-- Only past facts count: due or planned dates would stretch the calendar into the future.
years_with_facts as (

    select date_trunc('year', ordered_date) as first_day
    from orders

    union

    select date_trunc('year', booked_date) as first_day
    from order_lines

    union

    select date_trunc('year', transacted_date) as first_day
    from payments

    union

    select date_trunc('year', occurred_date) as first_day
    from web_events

    union

    select date_trunc('year', hour_date) as first_day
    from sensor_readings

    union

    select date_trunc('year', opened_date) as first_day
    from loans

    union

    select date_trunc('year', reviewed_date) as first_day
    from reviews

),

years_followed as (

    select
        first_day,
        lead(first_day) over (order by first_day) as next_first_day
    from years_with_facts

),

-- A date far off is more often wrong than right: the calendar does not reach out to it.
years_bounded as (

    select
        first_day,
        case
            when
                next_first_day
                <= first_day + interval '{{ var('calendar_gap_years') + 1 }}' year
                then next_first_day - interval '1' day
            else first_day + interval '1' year - interval '1' day
        end as last_day
    from years_followed

),

days_listed as (

    select {{ list_days('first_day', 'last_day') }} as date_day
    from years_bounded

),

dim_date as (

    select
        cast(extract(year from date_day) as integer) as calendar_year,
        cast(extract(quarter from date_day) as integer) as calendar_quarter,
        cast(extract(month from date_day) as integer) as calendar_month,
        {{ extract_iso_day_of_week('date_day') }} as iso_day_of_week,
        {{ extract_iso_day_of_week('date_day') }} >= 6 as is_weekend,
        date_day,
        cast(date_trunc('week', date_day) as date) as first_day_of_week,
        cast(date_trunc('month', date_day) as date) as first_day_of_month
    from days_listed

)

select * from dim_date
