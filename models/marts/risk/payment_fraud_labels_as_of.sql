{{ config(materialized='table_function', parameters=['as_of']) }}

with payment_fraud_labels as (

    select * from {{ ref('payment_fraud_labels').include(database=false) }}

),

payment_fraud_labels_as_of as (

    select
        transaction_id,
        fraud_status,
        label_state,
        is_fraud,
        label_matures_at <= cast(as_of as timestamp) as is_mature,
        transacted_at,
        valid_from as known_from
    from payment_fraud_labels
    where valid_from <= cast(as_of as timestamp) and cast(as_of as timestamp) < valid_to

)

select * from payment_fraud_labels_as_of
