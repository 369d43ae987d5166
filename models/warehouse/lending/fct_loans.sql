with loans as (

    select * from {{ ref('stg_lending__loans') }}

),

loan_history as (

    select * from {{ ref('stg_lending__loan_history') }}

),

dim_customer as (

    select * from {{ ref('dim_customer') }}

),

-- The arrival of a first load does not tell when the lender knew the loan.
loans_first_known as (

    select
        loan_id,
        case when count(case when _is_backfill then 1 end) = 0 then min(known_at) end
            as first_known_at
    from loan_history
    where not is_deleted
    group by loan_id

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
        cast(loans.opened_at as date) as opened_date,
        loans.opened_at,
        loans.defaulted_at,
        case
            when loans_first_known.first_known_at > loans.opened_at
                then loans_first_known.first_known_at
            else loans.opened_at
        end as known_at,
        loans._loaded_at,
        loans._is_backfill
    from loans
    inner join loans_first_known on loans.loan_id = loans_first_known.loan_id
    left join dim_customer
        on {{ as_of('dim_customer', 'loans.customer_id', at='loans.opened_at') }}

)

select * from fct_loans
