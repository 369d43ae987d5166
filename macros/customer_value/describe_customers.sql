{% macro describe_customers(customers, purchases, favourites, moment, rules, columns=[]) -%}
    with customers_described as (

        select
            customers.customer_id,
            {%- for column in columns %}
            customers.{{ column }},
            {%- endfor %}
            customers.gender,
            customers.postcode_area,
            customers.city,
            customers.country,
            customers.birth_year,
            customers.attributes,
            favourites.favourite_channel,
            favourites.favourite_category,
            favourites.currency,
            case
                when favourites.customer_id is null then 0
                else favourites.main_currency_net_sales_amount
            end as main_currency_net_sales_amount,
            coalesce(favourites.currency_count, 0) as currency_count,
            coalesce(purchases.order_count, 0) as order_count,
            coalesce(purchases.order_without_lines_count, 0) as order_without_lines_count,
            coalesce(purchases.cancelled_order_count, 0) as cancelled_order_count,
            coalesce(purchases.units_sold, 0) as units_sold,
            coalesce(purchases.units_returned, 0) as units_returned,
            {{ dbt.datediff('purchases.last_ordered_date', 'moment.as_of_date', 'day') }}
                as recency_days,
            customers.has_email,
            customers.has_phone,
            customers.has_marketing_consent,
            customers.referred_by_customer_id is not null as is_referred,
            moment.as_of_date,
            customers.registered_at,
            purchases.first_ordered_at,
            purchases.last_ordered_at
        from {{ customers }} as customers
        cross join {{ moment }} as moment
        left join {{ purchases }} as purchases on customers.customer_id = purchases.customer_id
        left join {{ favourites }} as favourites on customers.customer_id = favourites.customer_id

    ),

    segments_ranked as (

        select
            customers_described.customer_id,
            rules.segment,
            row_number() over (
                partition by customers_described.customer_id
                order by rules.priority
            ) as segment_rank
        from customers_described
        inner join {{ rules }} as rules
            on
                customers_described.order_count
                between coalesce(rules.minimum_order_count, customers_described.order_count)
                and coalesce(rules.maximum_order_count, customers_described.order_count)
                and coalesce(customers_described.recency_days, 0)
                between coalesce(rules.minimum_recency_days, 0)
                and coalesce(rules.maximum_recency_days, customers_described.recency_days, 0)

    )

    select
        customers_described.customer_id,
        {%- for column in columns %}
        customers_described.{{ column }},
        {%- endfor %}
        segments_ranked.segment,
        customers_described.gender,
        customers_described.postcode_area,
        customers_described.city,
        customers_described.country,
        customers_described.birth_year,
        customers_described.attributes,
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
{%- endmacro %}
