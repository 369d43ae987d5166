{{ config(
    materialized='incremental',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ delete_changed_rows() }}",
    post_hook="{{ record_training_rows() }}",
) }}

with holidays as (

    select * from {{ ref('dim_holiday') }}

),

labels_known as (

    select
        *,
        {{ business_date('as_of') }} as as_of_date
    from {{ ref('label_product_demand') }}
    where horizon_units_sold is not null

),

holidays_counted as (

    {{ count_horizon_holidays('labels_known', 'holidays') }}

),

train_product_demand as (

    {{ describe_products_at('holidays_counted', columns=[
        'product_id', 'horizon_units_sold', 'as_of', 'label_known_at',
    ], fold_by='product_id') }}

)

select * from train_product_demand
