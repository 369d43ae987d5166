with payments as (

    select * from {{ ref('fct_payments') }}

),

fraud_labels as (

    select * from {{ ref('payment_fraud_labels') }}

),

-- A fraud that is known early waits for its maturity, as honest payments of its age do. Otherwise
-- the youngest payments with a label would all be frauds.
labels_current as (

    select
        transaction_id,
        label_state,
        is_fraud,
        label_matures_at,
        label_matures_at < {{ end_of_time() }} as is_mature,
        valid_from
    from fraud_labels
    where is_current

),

label_payment_fraud as (

    select
        payments.transaction_id,
        payments.customer_id,
        payments.card_id,
        payments.terminal_id,
        payments.device_id,
        case
            when labels_current.is_mature then 'known'
            when labels_current.label_state = 'known' then 'too recent'
            else labels_current.label_state
        end as label_state,
        case when labels_current.is_mature then labels_current.is_fraud end as is_fraud,
        payments.transacted_at,
        case
            when labels_current.is_mature
                then greatest(labels_current.label_matures_at, labels_current.valid_from)
        end as label_known_at
    from payments
    inner join labels_current on payments.transaction_id = labels_current.transaction_id

)

select * from label_payment_fraud
