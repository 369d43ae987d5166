{%- set closing_days = var('books_close_days') + 1 -%}

with subscription_months as (

    select
        *,
        {{ add_days(dbt.last_day('label_known_date', 'month'), closing_days ~ ' + 1') }}
            as label_closed_date
    from {{ ref('subscription_months') }}
    where churn_label_status <> 'ended'

),

label_subscription_churn as (

    select
        subscription_id,
        customer_id,
        case when churn_label_status = 'mature' then 'known' else churn_label_status end
            as label_state,
        churns_within_horizon,
        month_end_date,
        {{ begin_business_day(add_days('month_end_date', closing_days)) }} as as_of,
        case
            when churn_label_status = 'mature' then {{ begin_business_day('label_closed_date') }}
        end as label_known_at
    from subscription_months

)

select * from label_subscription_churn
