with ordered_changes as (

    {{ order_changes('lending.credit_lines', key='account_id') }}

),

stg_lending__credit_line_history as (

    select
        account_id,
        customer_id,
        currency,
        credit_limit,
        _change_number as change_number,
        _is_tombstone as is_deleted,
        opened_at,
        closed_at,
        defaulted_at,
        _changed_at as changed_at,
        {{ find_known_at('updated_at') }} as known_at,
        _loaded_at,
        _is_backfill
    from ordered_changes

)

select * from stg_lending__credit_line_history
