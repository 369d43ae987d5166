{% set numbers = [
    'birth_year', 'order_count', 'cancelled_order_count', 'units_sold', 'units_returned', 'recency_days'
] %}

with customer_360 as (

    select * from {{ ref('customer_360') }}

),

customers_known as (

    select
        birth_year,
        order_count,
        cancelled_order_count,
        units_sold,
        units_returned,
        recency_days,
        coalesce(registered_at, first_ordered_at) as known_at
    from customer_360

),

cut_off as (

    select
        percentile_disc({{ var('training_share') }}) within group (order by known_at)
            as latest_known_at
    from customers_known

),

training_customers as (

    select
        customers_known.birth_year,
        customers_known.order_count,
        customers_known.cancelled_order_count,
        customers_known.units_sold,
        customers_known.units_returned,
        customers_known.recency_days,
        customers_known.known_at
    from customers_known
    inner join cut_off on customers_known.known_at <= cut_off.latest_known_at

),

medians as (

    {{ fit_imputer('training_customers', numbers, time='known_at') }}

),

training_customers_imputed as (

    select
        {{ impute_median('birth_year', 'medians') }} as birth_year,
        {{ impute_median('order_count', 'medians') }} as order_count,
        {{ impute_median('cancelled_order_count', 'medians') }} as cancelled_order_count,
        {{ impute_median('units_sold', 'medians') }} as units_sold,
        {{ impute_median('units_returned', 'medians') }} as units_returned,
        {{ impute_median('recency_days', 'medians') }} as recency_days,
        known_at
    from training_customers

),

deviations as (

    {{ fit_scaler('training_customers_imputed', numbers, time='known_at') }}

),

parameters_fitted as (

    select * from medians

    union all

    select * from deviations

),

{# Sums of doubles differ in their last digits between builds; rounded values do not. #}
customer_feature_scaling as (

    select
        column_name,
        method,
        round(center, 9) as center,
        round(scale, 9) as scale,
        row_count,
        missing_count,
        latest_row_at
    from parameters_fitted
    where row_count > 0

)

select * from customer_feature_scaling
