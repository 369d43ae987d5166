with holidays as (

    select * from {{ ref('dim_holiday') }}

),

labels_known as (

    select
        *,
        {{ business_date('as_of') }} as as_of_date,
        {{ assign_fold('product_id', 5) }} as fold
    from {{ ref('label_product_demand') }}
    where horizon_units_sold is not null

),

train_product_demand as (

    {{ describe_products_at(
        'labels_known',
        columns=['product_id', 'horizon_units_sold', 'as_of', 'label_known_at', 'fold'],
        holidays='holidays',
    ) }}

)

select * from train_product_demand
