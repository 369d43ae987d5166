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

customers_described as (

    {{ describe_customers(
        'known_customers',
        purchases='int_customer_purchases',
        favourites='int_customer_favourites',
        moment='latest_day',
        rules='segment_rules',
        columns=['customer_key'],
    ) }}

),

customer_360 as (

    select
        customer_id,
        customer_key,
        segment,
        gender,
        postcode_area,
        city,
        country,
        birth_year,
        attributes,
        favourite_channel,
        favourite_category,
        currency,
        main_currency_net_sales_amount,
        currency_count,
        order_count,
        order_without_lines_count,
        cancelled_order_count,
        units_sold,
        units_returned,
        recency_days,
        has_email,
        has_phone,
        has_marketing_consent,
        is_referred,
        as_of_date,
        registered_at,
        first_ordered_at,
        last_ordered_at
    from customers_described

)

select * from customer_360
