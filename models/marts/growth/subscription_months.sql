{%- set horizon_days = var('subscription_churn_horizon_days') -%}
{%- set booking_days = var('subscription_end_booking_days') -%}

with months as (

    select * from {{ ref('int_subscription_months_summed') }}

),

subscription_states as (

    select * from {{ ref('fct_subscription_states') }}

),

subscription_books as (

    select * from {{ ref('int_subscription_books_dated') }}

),

dim_customer as (

    select * from {{ ref('dim_customer') }}

),

months_compared as (

    select
        months.*,
        not months.is_ended and months.status <> 'paused' as is_active,
        coalesce(
            lag(months.is_ended) over (
                partition by months.subscription_id order by months.month_end_date
            ), false
        ) as was_ended,
        {{ add_days('months.month_end_date', horizon_days) }} as horizon_date,
        {{ add_days('months.month_end_date', horizon_days + booking_days) }} as label_known_date,
        subscription_books.as_of_date
    from months
    cross join subscription_books

),

months_followed as (

    select
        months_compared.*,
        later_states.subscription_id is not null as is_followed,
        coalesce(
            {{ business_date('later_states.ended_at') }} <= months_compared.horizon_date, false
        )
            as has_ended_later
    from months_compared
    left join subscription_states as later_states
        on
            months_compared.subscription_id = later_states.subscription_id
            and {{ business_date('later_states.valid_from') }} <= months_compared.label_known_date
            and {{ business_date('later_states.valid_to') }} > months_compared.label_known_date

),

labels_timed as (

    select
        *,
        case
            when is_ended then 'ended'
            when {{ add_days(
                dbt.last_day('label_known_date', 'month'), var('books_close_days') + 1
            ) }} >= as_of_date
                then 'too recent'
            when not is_followed then 'not followed'
            else 'mature'
        end as churn_label_status
    from months_followed

),

subscription_months as (

    select
        labels_timed.subscription_id,
        labels_timed.customer_id,
        coalesce(dim_customer.customer_key, {{ unknown_key() }}) as customer_key,
        labels_timed.plan,
        labels_timed.status,
        labels_timed.payment_method,
        labels_timed.currency,
        labels_timed.end_reason,
        labels_timed.churn_label_status,
        labels_timed.monthly_amount,
        case when labels_timed.is_active then labels_timed.monthly_amount else 0 end
            as monthly_recurring_amount,
        labels_timed.charged_in_month_amount,
        labels_timed.total_charged_amount,
        labels_timed.contract_months,
        labels_timed.billing_interval_months,
        {{ dbt.datediff(
            business_date('labels_timed.started_at'),
            'least(labels_timed.month_end_date, coalesce('
            ~ business_date('labels_timed.ended_at') ~ ', '
            ~ 'labels_timed.month_end_date))', 'month'
        ) }} as tenure_months,
        labels_timed.is_active,
        labels_timed.is_ended as is_churned,
        case when labels_timed.churn_label_status = 'mature' then labels_timed.has_ended_later end
            as churns_within_horizon,
        {{ add_days('labels_timed.month_end_date', var('books_close_days') + 1) }}
        < labels_timed.as_of_date as is_final,
        labels_timed.started_at,
        labels_timed.ended_at,
        labels_timed.label_known_date,
        labels_timed.month_end_date
    from labels_timed
    left join dim_customer
        on {{ as_of(
            'dim_customer', 'labels_timed.customer_id', at='labels_timed.month_end_date'
        ) }}
    where not (labels_timed.is_ended and labels_timed.was_ended)

)

select * from subscription_months
