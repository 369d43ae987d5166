{% macro score_customers(purchases, segments) -%}
    with scored as (

        select
            *,
            {{ score_quintiles('recency_days desc', by='currency') }} as recency_score,
            {{ score_quintiles('repeat_purchase_count', by='currency', ties='first') }}
                as frequency_score,
            {{ score_quintiles('net_sales_amount', by='currency') }} as monetary_score
        from {{ purchases }}

    ),

    segments_ranked as (

        select
            scored.customer_id,
            scored.currency,
            segments.rfm_segment,
            row_number() over (
                partition by scored.customer_id, scored.currency
                order by segments.priority
            ) as segment_rank
        from scored
        inner join {{ segments }} as segments
            on
                scored.recency_score
                between segments.minimum_recency_score and segments.maximum_recency_score
                and scored.frequency_score
                between segments.minimum_frequency_score and segments.maximum_frequency_score
                and scored.monetary_score
                between segments.minimum_monetary_score and segments.maximum_monetary_score

    )

    select
        scored.customer_id,
        scored.currency,
        segments_ranked.rfm_segment,
        scored.net_sales_amount,
        scored.repeat_purchase_amount,
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
{%- endmacro %}
