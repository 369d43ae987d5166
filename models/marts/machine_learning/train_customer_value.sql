{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_changed_rows() }}",
    post_hook="{{ record_training_rows() }}",
) }}

with labels_known as (

    select * from {{ ref('label_customer_value') }}
    where horizon_net_sales_amount is not null

),

train_customer_value as (

    {{ describe_customers_at(
        'labels_known',
        fold_by='customer_id',
        columns=[
            'customer_id', 'currency', 'horizon_net_sales_amount', 'as_of', 'label_known_at',
        ],
        numbers=[
            'customer_currency__order_amount_sum_90d', 'customer_currency__order_amount_sum_365d',
            'customer_currency__order_amount_avg',
        ],
        features=['int_order_events_listed.customer_currency__*'],
    ) }}

)

select * from train_customer_value
