with repayment_history as (

    select * from {{ ref('stg_lending__repayment_history') }}

),

repayment_changes as (

    select
        loan_id,
        instalment_number,
        due_amount,
        paid_amount,
        change_number,
        is_deleted,
        due_date,
        paid_at,
        coalesce(known_at, changed_at) as changed_at,
        _loaded_at,
        _is_backfill
    from repayment_history

),

known_changes as (

    {{ keep_known_changes('repayment_changes', key='loan_id, instalment_number') }}

),

versions as (

    {{ build_scd2('known_changes', key='loan_id, instalment_number', attributes=[
        'due_date', 'due_amount', 'paid_at', 'paid_amount',
    ]) }}

),

changes_numbered as (

    select
        *,
        row_number() over (
            partition by loan_id, instalment_number order by change_number
        ) as known_number
    from known_changes

),

first_states as (

    select
        loan_id,
        instalment_number,
        paid_amount,
        due_date,
        changed_at,
        _is_backfill,
        min(coalesce(changed_at, {{ beginning_of_time() }})) over (
            partition by loan_id
        ) as plan_changed_at,
        min(_loaded_at) over (partition by loan_id) as plan_loaded_at
    from changes_numbered
    where known_number = 1 and not is_deleted

),

-- An instalment that first appears on a later day than the plan joined the plan then. Books that
-- keep only the last state also give a later time: that of a payment, an overdue state or the load.
-- After the first load, arrivals are seen: each instalment joins with its first state.
instalments_joined as (

    select
        loan_id,
        instalment_number,
        changed_at as joined_at
    from first_states
    where
        _is_backfill is false
        or (
            {{ business_date('changed_at') }} > {{ business_date('plan_changed_at') }}
            and changed_at is distinct from plan_loaded_at
            and paid_amount = 0
            and due_date >= {{ business_date('changed_at') }}
        )

),

versions_placed as (

    select
        versions.*,
        coalesce(instalments_joined.joined_at, {{ beginning_of_time() }}) as planned_from,
        greatest(
            versions.valid_from,
            coalesce(instalments_joined.joined_at, {{ beginning_of_time() }})
        ) as version_from
    from versions
    left join instalments_joined
        on
            versions.loan_id = instalments_joined.loan_id
            and versions.instalment_number = instalments_joined.instalment_number

),

-- A payment is known from its booking, and never before the money came. Books without booking
-- times show later payments from the beginning.
versions_timed as (

    select
        loan_id,
        instalment_number,
        due_amount,
        paid_amount,
        is_deleted,
        due_date,
        planned_from,
        version_from,
        case
            when paid_amount > 0 and coalesce(paid_at, changed_at) > version_from
                then coalesce(paid_at, changed_at)
            else version_from
        end as known_from
    from versions_placed

),

states_before_the_first_money as (

    select
        loan_id,
        instalment_number,
        due_amount,
        cast(0 as decimal(18, 4)) as paid_amount,
        is_deleted,
        due_date,
        planned_from,
        version_from,
        version_from as known_from,
        0 as place
    from versions_timed
    where version_from = planned_from and known_from > version_from

),

all_states as (

    select * from states_before_the_first_money

    union all

    select
        *,
        1 as place
    from versions_timed

),

states_ended as (

    select
        *,
        coalesce(min(known_from) over (
            partition by loan_id, instalment_number
            order by version_from, place
            rows between 1 following and unbounded following
        ), {{ end_of_time() }}) as known_to
    from all_states

),

fct_loan_instalment_states as (

    select
        loan_id,
        instalment_number,
        due_amount,
        paid_amount,
        cast(greatest(due_amount - paid_amount, 0) as decimal(18, 4)) as outstanding_amount,
        paid_amount >= due_amount as is_settled,
        known_to = {{ end_of_time() }} as is_current,
        due_date,
        known_from as valid_from,
        known_to as valid_to
    from states_ended
    where not is_deleted and known_from < known_to

)

select * from fct_loan_instalment_states
