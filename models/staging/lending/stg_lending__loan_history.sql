with ordered_changes as (

    {{ order_changes('lending.loans', key='loan_id') }}

),

stg_lending__loan_history as (

    select
        loan_id,
        customer_id,
        currency,
        principal,
        annual_rate_pct,
        term_months,
        _change_number as change_number,
        _is_tombstone as is_deleted,
        _number_from_last = 1 as is_latest,
        opened_at,
        defaulted_at,
        _changed_at as changed_at,
        {{ find_known_at('updated_at') }} as known_at,
        _loaded_at,
        _is_backfill
    from ordered_changes

)

select * from stg_lending__loan_history
