with customer_360 as (

    select * from {{ ref('customer_360') }}

),

scaling as (

    select * from {{ ref('customer_feature_scaling') }}

),

categories as (

    select * from {{ ref('customer_feature_categories') }}

),

cut_off as (

    select max(latest_row_at) as latest_known_at
    from scaling

),

customers_imputed as (

    select
        customer_id,
        favourite_channel,
        favourite_category,
        country,
        {{ impute_median('birth_year', 'scaling') }} as birth_year,
        {{ impute_median('order_count', 'scaling') }} as order_count,
        {{ impute_median('cancelled_order_count', 'scaling') }} as cancelled_order_count,
        {{ impute_median('units_sold', 'scaling') }} as units_sold,
        {{ impute_median('units_returned', 'scaling') }} as units_returned,
        {{ impute_median('recency_days', 'scaling') }} as recency_days,
        {{ flag_missing('birth_year') }} as is_birth_year_missing,
        {{ flag_missing('recency_days') }} as is_recency_missing,
        has_email,
        has_phone,
        coalesce(has_marketing_consent, false) as has_marketing_consent,
        is_referred,
        coalesce(registered_at, first_ordered_at) as known_at
    from customer_360

),

customer_features as (

    select
        customers_imputed.customer_id,
        {{ encode_one_hot('customers_imputed.favourite_channel', 'categories') }}
            as favourite_channel_flags,
        {{ encode_one_hot('customers_imputed.favourite_category', 'categories') }}
            as favourite_category_flags,
        {{ encode_frequency('customers_imputed.country', 'categories') }} as country_share,
        {{ scale('customers_imputed.birth_year', 'scaling') }} as birth_year_scaled,
        {{ scale('customers_imputed.order_count', 'scaling') }} as order_count_scaled,
        {{ scale('customers_imputed.cancelled_order_count', 'scaling') }}
            as cancelled_order_count_scaled,
        {{ scale('customers_imputed.units_sold', 'scaling') }} as units_sold_scaled,
        {{ scale('customers_imputed.units_returned', 'scaling') }} as units_returned_scaled,
        {{ scale('customers_imputed.recency_days', 'scaling') }} as recency_days_scaled,
        customers_imputed.is_birth_year_missing,
        customers_imputed.is_recency_missing,
        customers_imputed.has_email,
        customers_imputed.has_phone,
        customers_imputed.has_marketing_consent,
        customers_imputed.is_referred,
        coalesce(customers_imputed.known_at <= cut_off.latest_known_at, false) as is_training
    from customers_imputed
    cross join cut_off

)

select * from customer_features
