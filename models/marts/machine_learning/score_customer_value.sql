with customers_now as (

    select
        customer_id,
        {{ begin_business_day(add_days('valid_to', '-1')) }} as as_of
    from {{ ref('churn_states') }}
    where is_current and not is_churned

),

currencies_used as (

    select distinct
        customer_id,
        currency
    from {{ ref('fct_order_status_changes') }}
    where is_sale

),

customers_with_currency as (

    select
        customers_now.customer_id,
        currencies_used.currency,
        customers_now.as_of
    from customers_now
    inner join currencies_used on customers_now.customer_id = currencies_used.customer_id

),

score_customer_value as (

    {{ describe_customers_at(
        'customers_with_currency',
        columns=['customer_id', 'currency', 'as_of'],
        numbers=[
            'customer_currency__order_amount_sum_90d', 'customer_currency__order_amount_sum_365d',
            'customer_currency__order_amount_avg',
        ],
        features=['int_order_events_listed.customer_currency__*'],
    ) }}

)

select * from score_customer_value
