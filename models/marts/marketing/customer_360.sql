with dim_customer as (

    select * from {{ ref('dim_customer') }}

),

int_customer_purchases as (

    select * from {{ ref('int_customer_purchases') }}

),

int_customer_favourites as (

    select * from {{ ref('int_customer_favourites') }}

),

orders as (

    select * from {{ ref('fct_orders') }}

),

segment_rules as (

    select * from {{ ref('segment_rules') }}

),

latest_order as (

    select max(ordered_date) as as_of_date
    from orders

),

customers_described as (

    select
        dim_customer.customer_id,
        dim_customer.customer_key,
        dim_customer.gender,
        dim_customer.postcode_area,
        dim_customer.city,
        dim_customer.country,
        dim_customer.birth_year,
        int_customer_favourites.favourite_channel,
        int_customer_favourites.favourite_category,
        int_customer_favourites.currency,
        case
            when int_customer_favourites.customer_id is null then 0
            else int_customer_favourites.main_currency_net_sales_amount
        end as main_currency_net_sales_amount,
        coalesce(int_customer_favourites.currency_count, 0) as currency_count,
        coalesce(int_customer_purchases.order_count, 0) as order_count,
        coalesce(int_customer_purchases.order_without_lines_count, 0)
            as order_without_lines_count,
        coalesce(int_customer_purchases.cancelled_order_count, 0) as cancelled_order_count,
        coalesce(int_customer_purchases.units_sold, 0) as units_sold,
        coalesce(int_customer_purchases.units_returned, 0) as units_returned,
        {{ dbt.datediff(
            'int_customer_purchases.last_ordered_at', 'latest_order.as_of_date', 'day'
        ) }} as recency_days,
        dim_customer.has_email,
        dim_customer.has_phone,
        dim_customer.has_marketing_consent,
        dim_customer.referred_by_customer_id is not null as is_referred,
        latest_order.as_of_date,
        dim_customer.registered_at,
        int_customer_purchases.first_ordered_at,
        int_customer_purchases.last_ordered_at
    from dim_customer
    cross join latest_order
    left join int_customer_purchases
        on dim_customer.customer_id = int_customer_purchases.customer_id
    left join int_customer_favourites
        on dim_customer.customer_id = int_customer_favourites.customer_id
    where
        dim_customer.is_current
        and not dim_customer.is_deleted
        and dim_customer.customer_id is not null

),

segments_ranked as (

    select
        customers_described.customer_id,
        segment_rules.segment,
        row_number() over (
            partition by customers_described.customer_id
            order by segment_rules.priority
        ) as segment_rank
    from customers_described
    inner join segment_rules
        on
            customers_described.order_count
            between coalesce(segment_rules.minimum_order_count, customers_described.order_count)
            and coalesce(segment_rules.maximum_order_count, customers_described.order_count)
            and coalesce(customers_described.recency_days, 0)
            between coalesce(segment_rules.minimum_recency_days, 0)
            and coalesce(segment_rules.maximum_recency_days, customers_described.recency_days, 0)

),

customer_360 as (

    select
        customers_described.customer_id,
        customers_described.customer_key,
        segments_ranked.segment,
        customers_described.gender,
        customers_described.postcode_area,
        customers_described.city,
        customers_described.country,
        customers_described.birth_year,
        customers_described.favourite_channel,
        customers_described.favourite_category,
        customers_described.currency,
        customers_described.main_currency_net_sales_amount,
        customers_described.currency_count,
        customers_described.order_count,
        customers_described.order_without_lines_count,
        customers_described.cancelled_order_count,
        customers_described.units_sold,
        customers_described.units_returned,
        customers_described.recency_days,
        customers_described.has_email,
        customers_described.has_phone,
        customers_described.has_marketing_consent,
        customers_described.is_referred,
        customers_described.as_of_date,
        customers_described.registered_at,
        customers_described.first_ordered_at,
        customers_described.last_ordered_at
    from customers_described
    left join segments_ranked
        on
            customers_described.customer_id = segments_ranked.customer_id
            and segments_ranked.segment_rank = 1

)

select * from customer_360
