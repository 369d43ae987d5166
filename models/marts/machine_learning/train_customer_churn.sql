{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_changed_rows() }}",
    post_hook="{{ record_training_rows() }}",
) }}

with labels_known as (

    select * from {{ ref('label_customer_churn') }}
    where is_churned is not null

),

train_customer_churn as (

    {{ describe_customers_at('labels_known', columns=[
        'customer_id', 'is_churned', 'as_of', 'label_known_at',
    ], fold_by='customer_id') }}

)

select * from train_customer_churn
