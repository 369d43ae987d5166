with customers_now as (

    select
        customer_id,
        {{ begin_business_day(add_days('valid_to', '-1')) }} as as_of
    from {{ ref('churn_states') }}
    where is_current and not is_churned

),

score_customer_churn as (

    {{ describe_customers_at('customers_now', columns=['customer_id', 'as_of']) }}

)

select * from score_customer_churn
