with statement_history as (

    select * from {{ ref('stg_lending__statement_history') }}

),

-- States that arrive later, of whatever time, do not change which one the first load showed first.
statements_numbered as (

    select
        *,
        min(case when _is_backfill then change_number end) over (
            partition by account_id, statement_date
        ) as first_load_number
    from statement_history

),

-- A first load may show only the last state of an old statement. The statement is then known from
-- its own day, and the payment from its booking.
statements_timed as (

    select
        *,
        coalesce(
            due_date, {{ add_days('statement_date', var('statement_due_days')) }}
        ) as payable_date,
        coalesce(change_number = first_load_number, false)
        and (known_at is null or paid_amount > 0) as is_last_state_only,
        case
            when is_deleted then coalesce(known_at, changed_at)
            when known_at > cast(statement_date as timestamp) then known_at
            else cast(statement_date as timestamp)
        end as booked_at
    from statements_numbered

),

statement_changes as (

    select
        account_id,
        balance as balance_amount,
        credit_limit as limit_amount,
        minimum_due as minimum_due_amount,
        cast(0 as decimal(18, 4)) as paid_amount,
        payment_status,
        2 * change_number as change_number,
        is_deleted,
        statement_date,
        payable_date as due_date,
        cast(statement_date as timestamp) as changed_at
    from statements_timed
    where is_last_state_only and paid_amount > 0

    union all

    select
        account_id,
        balance as balance_amount,
        credit_limit as limit_amount,
        minimum_due as minimum_due_amount,
        paid_amount,
        payment_status,
        2 * change_number + 1 as change_number,
        is_deleted,
        statement_date,
        payable_date as due_date,
        case
            when paid_amount > 0 and is_last_state_only
                then greatest(
                    booked_at, coalesce(paid_at, known_at, cast(payable_date as timestamp))
                )
            when paid_amount > 0 then greatest(booked_at, coalesce(paid_at, booked_at))
            else booked_at
        end as changed_at
    from statements_timed

),

known_changes as (

    {{ keep_known_changes('statement_changes', key='account_id, statement_date') }}

),

versions as (

    {{ build_scd2('known_changes', key='account_id, statement_date', attributes=[
        'balance_amount', 'limit_amount', 'minimum_due_amount', 'paid_amount', 'payment_status',
        'due_date',
    ]) }}

),

fct_statement_states as (

    select
        account_id,
        balance_amount,
        limit_amount,
        minimum_due_amount,
        paid_amount,
        payment_status,
        paid_amount >= minimum_due_amount as is_minimum_paid,
        is_current,
        statement_date,
        due_date,
        changed_at as valid_from,
        valid_to
    from versions
    where not is_deleted

)

select * from fct_statement_states
