with labels_known as (

    select
        *,
        {{ assign_fold('customer_id', 5) }} as fold
    from {{ ref('label_next_purchase') }}
    where is_bought is not null

),

train_next_purchase as (

    {{ describe_candidates_at('labels_known', columns=[
        'customer_id', 'product_id', 'is_bought', 'as_of', 'label_known_at', 'fold',
    ]) }}

)

select * from train_next_purchase
