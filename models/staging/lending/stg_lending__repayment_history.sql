with ordered_changes as (

    {{ order_changes('lending.repayments', key=['loan_id', 'instalment_number']) }}

),

stg_lending__repayment_history as (

    select
        loan_id,
        instalment_number,
        due_amount,
        case
            when _is_tombstone then null
            when paid_amount is null and paid_at is not null then due_amount
            else coalesce(paid_amount, 0)
        end as paid_amount,
        _change_number as change_number,
        _is_tombstone as is_deleted,
        _number_from_last = 1 as is_latest,
        due_date,
        paid_at,
        _changed_at as changed_at,
        {{ find_known_at('updated_at') }} as known_at,
        _loaded_at,
        _is_backfill
    from ordered_changes

)

select * from stg_lending__repayment_history
