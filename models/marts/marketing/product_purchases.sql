with order_lines as (

    select * from {{ ref('fct_order_lines') }}

),

customer_360 as (

    select * from {{ ref('customer_360') }}

),

dim_product as (

    select * from {{ ref('dim_product') }}

),

purchases_counted as (

    select
        customer_id,
        product_id,
        count(distinct case when is_sale then order_id end) as order_count,
        cast(sum(case when is_sale then quantity else 0 end) as bigint) as units_sold,
        cast(sum(case when is_return then quantity else 0 end) as bigint) as units_returned,
        min(case when is_sale then ordered_at end) as first_ordered_at,
        max(case when is_sale then ordered_date end) as last_ordered_date,
        max(case when is_sale then ordered_at end) as last_ordered_at
    from order_lines
    where is_sale or is_return
    group by customer_id, product_id

),

product_purchases as (

    select
        purchases_counted.customer_id,
        purchases_counted.product_id,
        dim_product.product_name,
        dim_product.category,
        dim_product.brand,
        customer_360.segment,
        customer_360.gender,
        customer_360.postcode_area,
        customer_360.country,
        customer_360.birth_year,
        purchases_counted.order_count,
        purchases_counted.units_sold,
        purchases_counted.units_returned,
        {{ dbt.datediff('purchases_counted.last_ordered_date', 'customer_360.as_of_date', 'day') }}
            as recency_days,
        purchases_counted.units_sold + purchases_counted.units_returned > 0 as is_kept,
        dim_product.is_prescription_only,
        customer_360.has_marketing_consent,
        purchases_counted.first_ordered_at,
        purchases_counted.last_ordered_at
    from purchases_counted
    inner join customer_360 on purchases_counted.customer_id = customer_360.customer_id
    left join dim_product
        on purchases_counted.product_id = dim_product.product_id and dim_product.is_last_known
    where purchases_counted.order_count > 0

)

select * from product_purchases
