{%- set closing_days = var('books_close_days') + 1 -%}

with subscription_months as (

    select * from {{ ref('subscription_months') }}
    where is_final

),

months_ended as (

    select max(month_end_date) as month_end_date
    from subscription_months

),

score_subscription_churn as (

    select
        subscription_months.subscription_id,
        subscription_months.customer_id,
        {%- for column in list_subscription_features('subscription_months') %}
            {{ column }},
        {%- endfor %}
        {{ begin_business_day(add_days('subscription_months.month_end_date', closing_days)) }}
            as as_of
    from subscription_months
    inner join months_ended
        on subscription_months.month_end_date = months_ended.month_end_date
    where not subscription_months.is_churned

)

select * from score_subscription_churn
