with labels as (

    select * from {{ ref('label_payment_fraud') }}
    where is_fraud is null

),

payments as (

    select * from {{ ref('fct_payments') }}

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
    ]) }}

)

select * from score_payment_fraud
