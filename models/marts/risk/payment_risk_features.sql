{#- A payment changes the later ones of its card, its device and, by their counts, its terminal. -#}
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_later_rows(
        events='fct_payments', where='not is_refund', key='transaction_id',
        columns=[
            'transaction_id', 'customer_id', 'customer_key', 'card_id', 'terminal_id', 'order_id',
            'device_id', 'country', 'currency', 'amount', 'transacted_at',
        ],
        groups=['card_id', 'device_id'], at='transacted_at',
        lookup={
            'relation': 'int_terminal_payments_counted',
            'join_on': {'terminal_id': 'terminal_id', 'transacted_at': 'happened_at'},
            'columns': [
                'terminal_payment_count', 'terminal_fraud_count', 'terminal_fraud_count_30_days',
            ],
        },
    ) }}",
    post_hook="{{ record_incremental_state(['payments.transactions'], through='fct_payments') }}",
) }}

with all_charges as (

    select * from {{ ref('fct_payments') }}
    where not is_refund

),

countries as (

    select * from {{ ref('countries') }}

),

travel_speeds as (

    select * from {{ ref('travel_speeds') }}

),

terminal_payments as (

    select * from {{ ref('int_terminal_payments_counted') }}

),

charges as (

    select * from all_charges
    {{ filter_affected_groups('transaction_id', ['card_id', 'device_id']) }}

),

card_payments as (

    {{ roll_card_payments('charges') | indent(4) }}

),

card_travels as (

    {{ class_card_travels('charges', 'countries', 'travel_speeds') | indent(4) }}

),

device_first_uses as (

    select
        transaction_id,
        device_id,
        card_id,
        transacted_at,
        min(transacted_at) over (
            partition by device_id, card_id
        ) as first_with_card_at,
        case
            when
                card_id is not null
                and row_number() over (
                    partition by device_id, card_id order by transacted_at, transaction_id
                ) = 1
                then 1
        end as first_with_card,
        case
            when
                customer_id is not null
                and row_number() over (
                    partition by device_id, customer_id order by transacted_at, transaction_id
                ) = 1
                then 1
        end as first_with_customer
    from charges
    where device_id is not null

),

device_payments as (

    select
        transaction_id,
        case
            when card_id is not null then first_with_card_at = transacted_at
        end as is_new_device,
        {{ roll_past('count', 'first_with_card', 'transacted_at', 'device_id') }}
            as device_card_count,
        {{ roll_past('count', 'first_with_customer', 'transacted_at', 'device_id') }}
            as device_customer_count
    from device_first_uses

),

payment_risk_features as (

    select
        charges.transaction_id,
        charges.customer_id,
        charges.customer_key,
        charges.card_id,
        charges.terminal_id,
        charges.order_id,
        charges.device_id,
        charges.country,
        card_travels.previous_country,
        card_travels.travel_class,
        charges.currency,
        charges.amount,
        cast(card_payments.card_amount_10_minutes as decimal(18, 4)) as card_amount_10_minutes,
        cast(card_payments.card_amount_1_day as decimal(18, 4)) as card_amount_1_day,
        cast(card_payments.card_amount_30_days as decimal(18, 4)) as card_amount_30_days,
        cast(charges.amount as double)
        / nullif(card_payments.card_average_amount, 0) as card_amount_ratio,
        card_payments.card_payment_count_10_minutes,
        card_payments.card_payment_count_1_day,
        card_payments.card_payment_count_30_days,
        card_payments.card_payment_count,
        device_payments.device_card_count,
        device_payments.device_customer_count,
        terminal_payments.terminal_payment_count,
        terminal_payments.terminal_fraud_count,
        terminal_payments.terminal_fraud_count_30_days,
        100 * cast(terminal_payments.terminal_fraud_count as double)
        / nullif(terminal_payments.terminal_payment_count, 0) as terminal_fraud_rate_pct,
        card_travels.travel_km_per_hour,
        device_payments.is_new_device,
        card_travels.has_country_changed,
        charges.transacted_at
    from charges
    left join card_payments on charges.transaction_id = card_payments.transaction_id
    left join device_payments on charges.transaction_id = device_payments.transaction_id
    left join terminal_payments
        on
            charges.terminal_id = terminal_payments.terminal_id
            and charges.transacted_at = terminal_payments.happened_at
    left join card_travels on charges.transaction_id = card_travels.transaction_id

)

select * from payment_risk_features
{{ filter_affected_keys('transaction_id') }}
