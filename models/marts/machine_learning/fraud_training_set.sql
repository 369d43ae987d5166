{{ config(materialized='table_function', parameters=['as_of']) }}

with fraud_labels as (

    select * from {{ ref('payment_fraud_labels').include(database=false) }}

),

features_of_known_payments as (

    select * from {{ ref('train_payment_fraud').include(database=false) }}

),

features_of_other_payments as (

    select * from {{ ref('score_payment_fraud').include(database=false) }}

),

labels_known as (

    select
        transaction_id,
        is_fraud,
        label_matures_at
    from fraud_labels
    where
        is_fraud is not null
        and label_matures_at <= cast(as_of as timestamp)
        and valid_from <= cast(as_of as timestamp)
        and cast(as_of as timestamp) < valid_to

),

-- The features of a payment are those of its own time, whichever label it has by now.
features as (

    select * exclude (is_fraud, label_known_at, fold)
    from features_of_known_payments

    union all by name

    select * from features_of_other_payments

),

cut as (

    select quantile_disc(features.transacted_at, 0.8) as first_test_at
    from features
    inner join labels_known on features.transaction_id = labels_known.transaction_id

),

fraud_training_set as (

    select
        labels_known.is_fraud,
        case
            when features.transacted_at >= cut.first_test_at then 'test'
            when labels_known.label_matures_at <= cut.first_test_at then 'train'
            else 'gap'
        end as split,
        {{ assign_fold('features.card_id', 5) }} as fold,
        labels_known.label_matures_at as label_known_at,
        features.*
    from features
    inner join labels_known on features.transaction_id = labels_known.transaction_id
    cross join cut

)

select * from fraud_training_set
