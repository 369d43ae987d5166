with dim_customer as (

    select * from {{ ref('dim_customer') }}

),

dim_product as (

    select * from {{ ref('dim_product') }}

),

order_lines as (

    select * from {{ ref('fct_order_lines') }}

),

segment_rules as (

    select * from {{ ref('segment_rules') }}

),

latest_order as (

    select max(ordered_date) as as_of_date
    from order_lines

),

purchases_counted as (

    select
        customer_id,
        count(distinct case when is_sale then order_id end) as order_count,
        count(distinct case when is_cancelled then order_id end) as cancelled_order_count,
        sum(case when is_sale then quantity else 0 end) as units_sold,
        sum(case when is_return then quantity else 0 end) as units_returned,
        min(case when is_sale then ordered_at end) as first_ordered_at,
        max(case when is_sale then ordered_at end) as last_ordered_at
    from order_lines
    where customer_id is not null
    group by customer_id

),

currencies_ranked as (

    select
        customer_id,
        currency,
        sum(net_amount) as net_amount,
        count(*) over (partition by customer_id) as currency_count,
        row_number() over (
            partition by customer_id
            order by count(distinct case when is_sale then order_id end) desc, currency
        ) as currency_rank
    from order_lines
    where customer_id is not null and (is_sale or is_return)
    group by customer_id, currency

),

channels_ranked as (

    select
        customer_id,
        channel,
        row_number() over (
            partition by customer_id
            order by count(distinct order_id) desc, channel
        ) as channel_rank
    from order_lines
    where customer_id is not null and is_sale
    group by customer_id, channel

),

categories_ranked as (

    select
        order_lines.customer_id,
        dim_product.category,
        row_number() over (
            partition by order_lines.customer_id
            order by count(distinct order_lines.order_id) desc, dim_product.category
        ) as category_rank
    from order_lines
    inner join dim_product on order_lines.product_id = dim_product.product_id
    where
        order_lines.customer_id is not null
        and order_lines.is_sale
        and dim_product.is_current
        and dim_product.category is not null
    group by order_lines.customer_id, dim_product.category

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
        channels_ranked.channel as favourite_channel,
        categories_ranked.category as favourite_category,
        currencies_ranked.currency,
        coalesce(currencies_ranked.net_amount, 0) as net_amount,
        coalesce(currencies_ranked.currency_count, 0) as currency_count,
        coalesce(purchases_counted.order_count, 0) as order_count,
        coalesce(purchases_counted.cancelled_order_count, 0) as cancelled_order_count,
        coalesce(purchases_counted.units_sold, 0) as units_sold,
        coalesce(purchases_counted.units_returned, 0) as units_returned,
        {{ dbt.datediff('purchases_counted.last_ordered_at', 'latest_order.as_of_date', 'day') }}
            as recency_days,
        dim_customer.has_email,
        dim_customer.has_phone,
        dim_customer.has_marketing_consent,
        dim_customer.referred_by_customer_id is not null as is_referred,
        latest_order.as_of_date,
        dim_customer.registered_at,
        purchases_counted.first_ordered_at,
        purchases_counted.last_ordered_at
    from dim_customer
    cross join latest_order
    left join purchases_counted on dim_customer.customer_id = purchases_counted.customer_id
    left join currencies_ranked
        on
            dim_customer.customer_id = currencies_ranked.customer_id
            and currencies_ranked.currency_rank = 1
    left join channels_ranked
        on
            dim_customer.customer_id = channels_ranked.customer_id
            and channels_ranked.channel_rank = 1
    left join categories_ranked
        on
            dim_customer.customer_id = categories_ranked.customer_id
            and categories_ranked.category_rank = 1
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
        cast(customers_described.net_amount as decimal(18, 4)) as net_amount,
        customers_described.currency_count,
        customers_described.order_count,
        customers_described.cancelled_order_count,
        cast(customers_described.units_sold as bigint) as units_sold,
        cast(customers_described.units_returned as bigint) as units_returned,
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
