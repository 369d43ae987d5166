with ordered_changes as (

    {{ order_changes('lending.statements', key=['account_id', 'statement_date']) }}

),

stg_lending__statement_history as (

    select
        account_id,
        balance,
        credit_limit,
        minimum_due,
        case when not _is_tombstone then coalesce(paid_amount, 0) end as paid_amount,
        payment_status,
        _change_number as change_number,
        _is_tombstone as is_deleted,
        statement_date,
        due_date,
        paid_at,
        _changed_at as changed_at,
        {{ find_known_at('updated_at') }} as known_at,
        _loaded_at,
        _is_backfill
    from ordered_changes

)

select * from stg_lending__statement_history
