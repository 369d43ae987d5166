with loan_history as (

    select * from {{ ref('stg_lending__loan_history') }}

),

loan_states as (

    select
        *,
        row_number() over (partition by loan_id order by change_number desc) as number_from_last
    from loan_history
    where not is_deleted

),

deletions as (

    select
        loan_id,
        changed_at as deleted_at
    from loan_history
    where is_latest and is_deleted

),

-- The arrival of a first load does not tell when the lender knew the loan.
loans_first_known as (

    select
        loan_id,
        case when count(case when _is_backfill then 1 end) = 0 then min(known_at) end
            as first_known_at
    from loan_states
    group by loan_id

),

int_loans_known as (

    select
        loan_states.loan_id,
        loan_states.term_months,
        {{ business_date('loan_states.opened_at') }} as opened_date,
        case
            when loans_first_known.first_known_at > loan_states.opened_at
                then loans_first_known.first_known_at
            else loan_states.opened_at
        end as known_at,
        coalesce(deletions.deleted_at, {{ end_of_time() }}) as deleted_at
    from loan_states
    inner join loans_first_known on loan_states.loan_id = loans_first_known.loan_id
    left join deletions on loan_states.loan_id = deletions.loan_id
    where loan_states.number_from_last = 1

)

select * from int_loans_known
