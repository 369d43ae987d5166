with loans as (

    {{ current_rows('lending.loans', key='loan_id') }}

),

stg_lending__loans as (

    select
        loan_id,
        customer_id,
        currency,
        principal,
        annual_rate_pct,
        term_months,
        opened_at,
        defaulted_at,
        updated_at,
        _loaded_at,
        _is_backfill
    from loans

)

select * from stg_lending__loans
