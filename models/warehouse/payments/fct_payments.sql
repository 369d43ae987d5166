{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_affected_keys(
        key='transaction_id',
        inputs=['payments.transactions'],
        dimensions=['dim_customer'],
        at='transacted_at',
    ) }}",
    post_hook="{{ record_incremental_state(['payments.transactions']) }}",
) }}

with transactions as (

    {{ current_rows(
        'payments.transactions', key='transaction_id', affected_by='transaction_id'
    ) }}

),

dim_customer as (

    select * from {{ ref('dim_customer') }}

),

fct_payments as (

    select
        transactions.transaction_id,
        transactions.customer_id,
        coalesce(dim_customer.customer_key, {{ unknown_key() }}) as customer_key,
        transactions.card_id,
        transactions.terminal_id,
        transactions.order_id,
        transactions.device_id,
        coalesce(transactions.country, {{ unknown_code() }}) as country,
        coalesce(transactions.currency, {{ no_currency() }}) as currency,
        transactions.amount,
        transactions.amount < 0 as is_refund,
        {{ business_date('transactions.transacted_at') }} as transacted_date,
        transactions.transacted_at,
        transactions._loaded_at,
        transactions._is_backfill
    from transactions
    left join dim_customer
        on {{ as_of(
            'dim_customer', 'transactions.customer_id', at='transactions.transacted_at'
        ) }}

)

select * from fct_payments
