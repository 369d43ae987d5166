with customer_360 as (

    select * from {{ ref('customer_360') }}

),

customer_feature_scaling as (

    select * from {{ ref('customer_feature_scaling') }}

),

cut_off as (

    select max(latest_row_at) as latest_known_at
    from customer_feature_scaling

),

training_customers as (

    select
        customer_360.favourite_channel,
        customer_360.favourite_category,
        customer_360.country
    from customer_360
    inner join cut_off
        on
            coalesce(customer_360.registered_at, customer_360.first_ordered_at)
            <= cut_off.latest_known_at

),

customer_feature_categories as (

    {{ fit_categories(
        'training_customers',
        ['favourite_channel', 'favourite_category', 'country'],
        minimum_count=var('feature_category_minimum_rows')
    ) }}

)

select * from customer_feature_categories
