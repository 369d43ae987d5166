with order_changes as (

    select * from {{ ref('fct_order_status_changes') }}

),

dim_date as (

    select * from {{ ref('dim_date') }}

),

days_known as (

    select
        {{ add_days(business_date('min(valid_from)'), '1') }} as first_date,
        {{ business_date('max(valid_from)') }} as latest_date
    from order_changes
    where valid_from > {{ beginning_of_time() }}

),

-- A date far off has the days of its own year, as in the calendar.
days_listed as (

    select
        dim_date.date_day as as_of_date,
        days_known.latest_date
    from days_known
    inner join dim_date
        on dim_date.date_day between days_known.first_date and days_known.latest_date

),

-- Counted from a Monday, so that later loads never move a day.
int_snapshot_days_listed as (

    select
        as_of_date,
        latest_date,
        {{ begin_business_day('as_of_date') }} as as_of
    from days_listed
    where
        mod(
            {{ dbt.datediff("cast('1900-01-01' as date)", 'as_of_date', 'day') }},
            {{ var('snapshot_interval_days') }}
        ) = 0

)

select * from int_snapshot_days_listed
