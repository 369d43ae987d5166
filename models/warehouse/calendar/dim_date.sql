with order_lines as (

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
days_spanned as (

    select
        min(ordered_date) as first_date,
        max(ordered_date) as last_date
    from order_lines

    union all

    select
        min(transacted_date) as first_date,
        max(transacted_date) as last_date
    from payments

    union all

    select
        min(occurred_date) as first_date,
        max(occurred_date) as last_date
    from web_events

    union all

    select
        min(hour_date) as first_date,
        max(hour_date) as last_date
    from sensor_readings

    union all

    select
        min(opened_date) as first_date,
        max(opened_date) as last_date
    from loans

    union all

    select
        min(reviewed_date) as first_date,
        max(reviewed_date) as last_date
    from reviews

),

years_bounded as (

    select
        date_trunc('year', min(first_date)) as first_day,
        date_trunc('year', max(last_date)) + interval '1' year - interval '1' day as last_day
    from days_spanned

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
