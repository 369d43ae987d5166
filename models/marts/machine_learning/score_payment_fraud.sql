with labels as (

    select * from {{ ref('label_payment_fraud') }}
    where is_fraud is null

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

score_payment_fraud as (

    {{ describe_payments_at('payments_described', columns=[
        'transaction_id', 'card_id', 'transacted_at',
    ], countries='countries', travel_speeds='travel_speeds') }}

)

select * from score_payment_fraud
