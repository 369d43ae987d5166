{%- set horizon_months = var('default_horizon_months') -%}
{%- set closing_days = var('books_close_days') + 1 -%}

with credit_histories as (

    select * from {{ ref('credit_histories') }}

),

loan_books as (

    select * from {{ ref('int_loan_books_dated') }}

),

months_stated as (

    select
        loan_id,
        month_end_date,
        is_paid_back,
        is_defaulted or days_past_due >= {{ var('default_days_past_due') }} as is_in_default,
        12 * extract(year from month_end_date) + extract(month from month_end_date)
            as month_number,
        {{ dbt.last_day(dbt.dateadd('month', horizon_months, 'month_end_date'), 'month') }}
            as horizon_date
    from credit_histories

),

months_followed as (

    select
        *,
        count(*) over horizon as followed_count,
        coalesce(max(case when is_in_default then 1 else 0 end) over horizon, 0) = 1
            as has_default_later,
        coalesce(max(case when is_paid_back then 1 else 0 end) over horizon, 0) = 1
            as is_paid_back_later
    from months_stated
    window horizon as (
        partition by loan_id order by month_number
        range between 1 following and {{ horizon_months }} following
    )

),

-- A loan that was paid back is good, though no month of it follows. One that was deleted is not.
labels_stated as (

    select
        months_followed.*,
        case
            when
                {{ add_days('months_followed.horizon_date', closing_days) }}
                >= loan_books.as_of_date
                then 'too recent'
            when
                not months_followed.has_default_later
                and not months_followed.is_paid_back_later
                and months_followed.followed_count < {{ horizon_months }}
                then 'not followed'
            else 'known'
        end as label_state
    from months_followed
    cross join loan_books
    where not months_followed.is_in_default and not months_followed.is_paid_back

),

label_loan_default as (

    select
        loan_id,
        label_state,
        case when label_state = 'known' then has_default_later end as defaults_within_horizon,
        month_end_date,
        {{ begin_business_day(add_days('month_end_date', closing_days)) }} as as_of,
        {{ begin_business_day(add_days('horizon_date', 1)) }} as horizon_ends_at,
        case
            when label_state = 'known'
                then {{ begin_business_day(add_days('horizon_date', closing_days ~ ' + 1')) }}
        end as label_known_at
    from labels_stated

)

select * from label_loan_default
