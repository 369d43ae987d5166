{%- set closing_days = var('books_close_days') + 1 -%}

with credit_histories as (

    select * from {{ ref('credit_histories') }}
    where is_final

),

months_ended as (

    select max(month_end_date) as month_end_date
    from credit_histories

),

-- Loans whose rows have ended were paid back or deleted.
score_loan_default as (

    select
        credit_histories.loan_id,
        {%- for column in list_loan_features('credit_histories') %}
            {{ column }},
        {%- endfor %}
        {{ begin_business_day(add_days('credit_histories.month_end_date', closing_days)) }} as as_of
    from credit_histories
    inner join months_ended on credit_histories.month_end_date = months_ended.month_end_date
    where
        not credit_histories.is_paid_back
        and not credit_histories.is_defaulted
        and credit_histories.days_past_due < {{ var('default_days_past_due') }}

)

select * from score_loan_default
