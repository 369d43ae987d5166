with order_lines as (

    select * from {{ ref('fct_order_lines') }}

),

dim_customer as (

    select * from {{ ref('dim_customer') }}

),

rfm_segments as (

    select * from {{ ref('rfm_segments') }}

),

latest_order as (

    select max(ordered_date) as as_of_date
    from order_lines

),

-- Orders of one day are one purchase: a second basket within hours is not a repeat.
purchases_by_day as (

    select
        order_lines.customer_id,
        order_lines.currency,
        order_lines.ordered_date,
        sum(case when order_lines.is_sale then order_lines.net_amount else 0 end) as sold_amount,
        sum(order_lines.net_amount) as net_sales_amount,
        count(case when order_lines.is_sale then 1 end) as sold_line_count
    from order_lines
    inner join dim_customer
        on
            order_lines.customer_id = dim_customer.customer_id
            and dim_customer.is_current
            and not dim_customer.is_deleted
    where order_lines.is_in_net_sales
    group by order_lines.customer_id, order_lines.currency, order_lines.ordered_date

),

first_purchases as (

    select
        customer_id,
        currency,
        min(ordered_date) as first_purchase_date
    from purchases_by_day
    where sold_line_count > 0
    group by customer_id, currency

),

purchases_summed as (

    select
        purchases_by_day.customer_id,
        purchases_by_day.currency,
        sum(purchases_by_day.net_sales_amount) as net_sales_amount,
        avg(
            case
                when
                    purchases_by_day.sold_line_count > 0
                    and purchases_by_day.ordered_date > first_purchases.first_purchase_date
                    then purchases_by_day.sold_amount
            end
        ) as repeat_purchase_amount,
        count(case when purchases_by_day.sold_line_count > 0 then 1 end) - 1
            as repeat_purchase_count,
        first_purchases.first_purchase_date,
        max(case when purchases_by_day.sold_line_count > 0 then purchases_by_day.ordered_date end)
            as last_purchase_date
    from purchases_by_day
    inner join first_purchases
        on
            purchases_by_day.customer_id = first_purchases.customer_id
            and purchases_by_day.currency = first_purchases.currency
    group by
        purchases_by_day.customer_id,
        purchases_by_day.currency,
        first_purchases.first_purchase_date

),

days_measured as (

    select
        purchases_summed.*,
        {{ dbt.datediff(
            'purchases_summed.first_purchase_date', 'purchases_summed.last_purchase_date', 'day'
        ) }} as purchase_span_days,
        {{ dbt.datediff(
            'purchases_summed.first_purchase_date', 'latest_order.as_of_date', 'day'
        ) }} as observed_days,
        {{ dbt.datediff(
            'purchases_summed.last_purchase_date', 'latest_order.as_of_date', 'day'
        ) }} as recency_days,
        latest_order.as_of_date
    from purchases_summed
    cross join latest_order

),

scored as (

    select
        *,
        {{ score_quintiles('recency_days desc', by='currency') }} as recency_score,
        {{ score_quintiles('repeat_purchase_count', by='currency', ties='first') }}
            as frequency_score,
        {{ score_quintiles('net_sales_amount', by='currency') }} as monetary_score
    from days_measured

),

segments_ranked as (

    select
        scored.customer_id,
        scored.currency,
        rfm_segments.rfm_segment,
        row_number() over (
            partition by scored.customer_id, scored.currency
            order by rfm_segments.priority
        ) as segment_rank
    from scored
    inner join rfm_segments
        on
            scored.recency_score
            between rfm_segments.minimum_recency_score and rfm_segments.maximum_recency_score
            and scored.frequency_score
            between rfm_segments.minimum_frequency_score and rfm_segments.maximum_frequency_score
            and scored.monetary_score
            between rfm_segments.minimum_monetary_score and rfm_segments.maximum_monetary_score

),

customer_lifetime_values as (

    select
        scored.customer_id,
        scored.currency,
        segments_ranked.rfm_segment,
        cast(scored.net_sales_amount as decimal(18, 4)) as net_sales_amount,
        cast(scored.repeat_purchase_amount as decimal(18, 4)) as repeat_purchase_amount,
        cast(
            case
                when scored.observed_days >= {{ var('run_rate_minimum_days') }}
                    then scored.net_sales_amount * 365 / scored.observed_days
            end as decimal(18, 4)
        ) as yearly_run_rate_amount,
        scored.repeat_purchase_count,
        scored.purchase_span_days,
        scored.observed_days,
        scored.recency_days,
        scored.recency_score,
        scored.frequency_score,
        scored.monetary_score,
        scored.first_purchase_date,
        scored.last_purchase_date,
        scored.as_of_date
    from scored
    left join segments_ranked
        on
            scored.customer_id = segments_ranked.customer_id
            and scored.currency = segments_ranked.currency
            and segments_ranked.segment_rank = 1

)

select * from customer_lifetime_values
