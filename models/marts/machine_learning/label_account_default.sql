{%- set closing_days = var('books_close_days') + 1 -%}

with account_months as (

    select * from {{ ref('revolving_credit_histories') }}
    where default_label_status <> 'in default'

),

label_account_default as (

    select
        account_id,
        customer_id,
        case when default_label_status = 'mature' then 'known' else default_label_status end
            as label_state,
        defaults_within_horizon,
        month_end_date,
        {{ begin_business_day(add_days('month_end_date', closing_days)) }} as as_of,
        case
            when default_label_status = 'mature'
                then
                    {{ begin_business_day(add_days('label_known_date', closing_days ~ ' + 1')) }}
        end as label_known_at
    from account_months

)

select * from label_account_default
