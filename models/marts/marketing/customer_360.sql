with dim_customer as (

    select * from {{ ref('dim_customer') }}

),

int_customer_purchases as (

    select * from {{ ref('int_customer_purchases') }}

),

int_customer_favourites as (

    select * from {{ ref('int_customer_favourites') }}

),

order_changes as (

    select * from {{ ref('fct_order_status_changes') }}

),

segment_rules as (

    select * from {{ ref('segment_rules') }}

),

latest_day as (

    select {{ business_date('max(valid_from)') }} as as_of_date
    from order_changes

),

known_customers as (

    select * from dim_customer
    where is_current and not is_deleted and customer_id is not null

),

customer_360 as (

    {{ describe_customers(
        'known_customers',
        purchases='int_customer_purchases',
        favourites='int_customer_favourites',
        moment='latest_day',
        rules='segment_rules',
        columns=['customer_key'],
    ) }}

)

select * from customer_360
