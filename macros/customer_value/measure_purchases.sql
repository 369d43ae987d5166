{# Orders of one day are one purchase: a second basket within hours is not a repeat. #}
{% macro measure_purchases(lines, until) -%}
    with days_summed as (

        select
            lines.customer_id,
            lines.currency,
            lines.ordered_date,
            max(until.as_of_date) as as_of_date,
            sum(lines.net_amount) as net_sales_amount,
            sum(case when lines.is_sale then lines.net_amount end) as sold_amount,
            count(case when lines.is_sale then 1 end) > 0 as is_purchase
        from {{ lines }} as lines
        inner join {{ until }} as until on lines.ordered_date <= until.as_of_date
        where lines.is_in_net_sales
        group by lines.customer_id, lines.currency, lines.ordered_date

    ),

    days_with_first as (

        select
            *,
            min(case when is_purchase then ordered_date end) over (
                partition by customer_id, currency
            ) as first_purchase_date
        from days_summed

    ),

    purchases_summed as (

        select
            customer_id,
            currency,
            sum(net_sales_amount) as net_sales_amount,
            avg(case when is_purchase and ordered_date > first_purchase_date then sold_amount end)
                as repeat_purchase_amount,
            count(case when is_purchase then 1 end) - 1 as repeat_purchase_count,
            first_purchase_date,
            max(case when is_purchase then ordered_date end) as last_purchase_date,
            as_of_date
        from days_with_first
        where first_purchase_date is not null
        group by customer_id, currency, first_purchase_date, as_of_date

    )

    select
        customer_id,
        currency,
        cast(net_sales_amount as decimal(18, 4)) as net_sales_amount,
        cast(repeat_purchase_amount as decimal(18, 4)) as repeat_purchase_amount,
        repeat_purchase_count,
        {{ dbt.datediff('first_purchase_date', 'last_purchase_date', 'day') }}
            as purchase_span_days,
        {{ dbt.datediff('first_purchase_date', 'as_of_date', 'day') }} as observed_days,
        {{ dbt.datediff('last_purchase_date', 'as_of_date', 'day') }} as recency_days,
        first_purchase_date,
        last_purchase_date,
        as_of_date
    from purchases_summed
{%- endmacro %}
