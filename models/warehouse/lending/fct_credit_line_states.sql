with line_history as (

    select * from {{ ref('stg_lending__credit_line_history') }}

),

lines_numbered as (

    select
        *,
        min(case when _is_backfill then change_number end) over (partition by account_id)
            as first_load_number
    from line_history

),

-- An end that the first state shows already was known when it was booked, and not before.
line_changes as (

    select
        account_id,
        customer_id,
        coalesce(currency, {{ no_currency() }}) as currency,
        credit_limit as limit_amount,
        change_number,
        is_deleted,
        {{ business_date('opened_at') }} as opened_date,
        case
            when change_number = first_load_number and known_at > closed_at then known_at
            else closed_at
        end as closed_at,
        case
            when change_number = first_load_number and known_at > defaulted_at then known_at
            else defaulted_at
        end as defaulted_at,
        coalesce(known_at, changed_at) as changed_at
    from lines_numbered

),

known_changes as (

    {{ keep_known_changes('line_changes', key='account_id') }}

),

versions as (

    {{ build_scd2('known_changes', key='account_id', attributes=[
        'customer_id', 'currency', 'limit_amount', 'opened_date', 'closed_at', 'defaulted_at',
    ]) }}

),

-- The arrival of a first load does not tell when the account was known: then it is the opening.
accounts_backfilled as (

    select distinct account_id
    from line_history
    where _is_backfill and not is_deleted

),

versions_timed as (

    select
        versions.*,
        case
            when versions.valid_from > {{ beginning_of_time() }} then versions.valid_from
            when accounts_backfilled.account_id is null then versions.changed_at
            else coalesce(cast(versions.opened_date as timestamp), {{ beginning_of_time() }})
        end as known_from
    from versions
    left join accounts_backfilled on versions.account_id = accounts_backfilled.account_id

),

fct_credit_line_states as (

    select
        account_id,
        customer_id,
        currency,
        limit_amount,
        is_current,
        opened_date,
        closed_at,
        defaulted_at,
        changed_at as terms_known_at,
        known_from as valid_from,
        valid_to
    from versions_timed
    where not is_deleted and known_from < valid_to

)

select * from fct_credit_line_states
