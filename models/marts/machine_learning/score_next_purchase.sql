with customers_now as (

    select
        customer_id,
        {{ add_days('valid_to', '-1') }} as as_of_date,
        {{ begin_business_day(add_days('valid_to', '-1')) }} as as_of
    from {{ ref('churn_states') }}
    where is_current and not is_churned

),

lines_sold as (

    select
        *,
        {{ business_date('valid_from') }} as known_date
    from {{ ref('fct_order_line_changes') }}
    where product_id is not null and is_sale

),

candidates as (

    {{ list_purchase_candidates('customers_now', lines_sold='lines_sold') }}

),

score_next_purchase as (

    {{ describe_candidates_at('candidates', columns=['customer_id', 'product_id', 'as_of']) }}

)

select * from score_next_purchase
