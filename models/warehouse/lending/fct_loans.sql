with loans as (

    select * from {{ ref('stg_lending__loans') }}

),

dim_customer as (

    select * from {{ ref('dim_customer') }}

),

fct_loans as (

    select
        loans.loan_id,
        loans.customer_id,
        coalesce(dim_customer.customer_key, {{ unknown_key() }}) as customer_key,
        coalesce(loans.currency, {{ no_currency() }}) as currency,
        loans.principal as principal_amount,
        loans.annual_rate_pct,
        loans.term_months,
        {{ business_date('loans.opened_at') }} as opened_date,
        loans.opened_at,
        loans.defaulted_at,
        loans._loaded_at,
        loans._is_backfill
    from loans
    left join dim_customer
        on {{ as_of('dim_customer', 'loans.customer_id', at='loans.opened_at') }}

)

select * from fct_loans
