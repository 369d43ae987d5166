with transactions as (

    {{ current_rows('payments.transactions', key='transaction_id') }}

),

stg_payments__transactions as (

    select
        transaction_id,
        customer_id,
        card_id,
        terminal_id,
        order_id,
        device_id,
        country,
        currency,
        amount,
        transacted_at,
        _loaded_at,
        _is_backfill
    from transactions

)

select * from stg_payments__transactions
