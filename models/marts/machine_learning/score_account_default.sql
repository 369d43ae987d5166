{%- set closing_days = var('books_close_days') + 1 -%}

with revolving_credit_histories as (

    select * from {{ ref('revolving_credit_histories') }}
    where is_final

),

months_ended as (

    select max(month_end_date) as month_end_date
    from revolving_credit_histories

),

score_account_default as (

    select
        revolving_credit_histories.account_id,
        revolving_credit_histories.customer_id,
        {%- for column in list_account_features('revolving_credit_histories') %}
            {{ column }},
        {%- endfor %}
        {{ begin_business_day(
            add_days('revolving_credit_histories.month_end_date', closing_days)
        ) }} as as_of
    from revolving_credit_histories
    inner join months_ended
        on revolving_credit_histories.month_end_date = months_ended.month_end_date
    where revolving_credit_histories.default_label_status <> 'in default'

)

select * from score_account_default
