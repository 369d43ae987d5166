with labels_known as (

    select * from {{ ref('label_subscription_churn') }}
    where churns_within_horizon is not null

),

subscription_months as (

    select * from {{ ref('subscription_months') }}

),

train_subscription_churn as (

    select
        labels_known.subscription_id,
        labels_known.customer_id,
        labels_known.churns_within_horizon,
        {%- for column in list_subscription_features('subscription_months') %}
            {{ column }},
        {%- endfor %}
        {{ assign_fold('labels_known.customer_id', 5) }} as fold,
        labels_known.as_of,
        labels_known.label_known_at
    from labels_known
    inner join subscription_months
        on
            labels_known.subscription_id = subscription_months.subscription_id
            and labels_known.month_end_date = subscription_months.month_end_date

)

select * from train_subscription_churn
