with orders as (

    select * from {{ ref('stg_sales__orders') }}

),

years_bounded as (

    select
        date_trunc('year', min(ordered_at)) as first_day,
        date_trunc('year', max(ordered_at)) + interval '1' year - interval '1' day as last_day
    from orders

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
