{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_changed_rows() }}",
    post_hook="{{ record_training_rows() }}",
) }}

with labels as (

    select * from {{ ref('label_payment_fraud') }}
    where is_fraud is not null

),

payments as (

    select * from {{ ref('fct_payments') }}

),

countries as (

    select * from {{ ref('countries') }}

),

travel_speeds as (

    select * from {{ ref('travel_speeds') }}

),

payments_described as (

    select
        labels.*,
        payments.currency,
        payments.country as payment_country,
        cast(payments.amount as double) as payment_amount
    from labels
    inner join payments on labels.transaction_id = payments.transaction_id

),

train_payment_fraud as (

    {{ describe_payments_at('payments_described', columns=[
        'transaction_id', 'card_id', 'is_fraud', 'transacted_at', 'label_known_at',
    ], countries='countries', travel_speeds='travel_speeds', fold_by='card_id') }}

)

select * from train_payment_fraud
