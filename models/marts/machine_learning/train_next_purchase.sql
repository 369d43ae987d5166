{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_changed_rows() }}",
    post_hook="{{ record_training_rows() }}",
) }}

with labels_known as (

    select * from {{ ref('label_next_purchase') }}
    where is_bought is not null

),

train_next_purchase as (

    {{ describe_candidates_at('labels_known', columns=[
        'customer_id', 'product_id', 'is_bought', 'as_of', 'label_known_at',
    ], fold_by='customer_id') }}

)

select * from train_next_purchase
