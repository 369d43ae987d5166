with loans as (

    select * from {{ ref('int_loans_known') }}

),

instalment_states as (

    select * from {{ ref('fct_loan_instalment_states') }}

),

loan_books as (

    select * from {{ ref('int_loan_books_dated') }}

),

days_listed as (

    select {{ list_days(
        'min(loans.opened_date)', add_days('max(loan_books.as_of_date)', '-1')
    ) }} as date_day
    from loans
    cross join loan_books

),

months as (

    select date_day as month_end_date
    from days_listed
    where date_day = {{ dbt.last_day('date_day', 'month') }}

),

loan_months as (

    select
        loans.loan_id,
        months.month_end_date
    from loans
    inner join months
        on
            {{ business_date('loans.known_at') }} <= months.month_end_date
            and {{ business_date('loans.deleted_at') }} > months.month_end_date

),

-- A state holds from one month's end to another; it does not hold at the second.
states_placed as (

    select
        instalment_states.loan_id,
        instalment_states.due_amount,
        instalment_states.paid_amount,
        instalment_states.outstanding_amount,
        case when instalment_states.is_settled then 1 else 0 end as settled_count,
        instalment_states.due_date,
        greatest(
            {{ dbt.last_day(business_date('instalment_states.valid_from'), 'month') }},
            {{ dbt.last_day('loans.opened_date', 'month') }}
        ) as from_month_end_date,
        {{ dbt.last_day(business_date('instalment_states.valid_to'), 'month') }}
            as to_month_end_date
    from instalment_states
    inner join loans on instalment_states.loan_id = loans.loan_id

),

states_by_month as (

    select
        *,
        least(
            greatest(from_month_end_date, {{ dbt.last_day('due_date', 'month') }}),
            to_month_end_date
        ) as due_month_end_date
    from states_placed
    where from_month_end_date < to_month_end_date

),

-- A state adds to the sums when it begins and when it falls due; its end subtracts it.
changes as (

    select
        loan_id,
        from_month_end_date as month_end_date,
        cast(0 as decimal(18, 4)) as due_amount,
        paid_amount,
        1 as instalment_count,
        settled_count
    from states_by_month

    union all

    select
        loan_id,
        due_month_end_date as month_end_date,
        due_amount,
        0 as paid_amount,
        0 as instalment_count,
        0 as settled_count
    from states_by_month

    union all

    select
        loan_id,
        to_month_end_date as month_end_date,
        -due_amount as due_amount,
        -paid_amount as paid_amount,
        -1 as instalment_count,
        -settled_count as settled_count
    from states_by_month

),

changes_by_month as (

    select
        loan_id,
        month_end_date,
        sum(due_amount) as due_amount,
        sum(paid_amount) as paid_amount,
        sum(instalment_count) as instalment_count,
        sum(settled_count) as settled_count
    from changes
    group by loan_id, month_end_date

),

arrears as (

    select
        states_by_month.loan_id,
        months.month_end_date,
        min(states_by_month.due_date) as oldest_due_date,
        count(*) as missed_instalment_count,
        sum(states_by_month.outstanding_amount) as overdue_amount
    from states_by_month
    inner join months
        on
            states_by_month.due_date < months.month_end_date
            and states_by_month.from_month_end_date <= months.month_end_date
            and states_by_month.to_month_end_date > months.month_end_date
    where states_by_month.settled_count = 0
    group by states_by_month.loan_id, months.month_end_date

),

int_loan_months_summed as (

    select
        loan_months.loan_id,
        cast(coalesce(changes_by_month.due_amount, 0) as decimal(18, 4)) as due_in_month_amount,
        cast(coalesce(changes_by_month.paid_amount, 0) as decimal(18, 4))
            as paid_in_month_amount,
        cast(coalesce(sum(changes_by_month.due_amount) over to_date, 0) as decimal(18, 4))
            as due_to_date_amount,
        cast(coalesce(sum(changes_by_month.paid_amount) over to_date, 0) as decimal(18, 4))
            as paid_to_date_amount,
        cast(coalesce(arrears.overdue_amount, 0) as decimal(18, 4)) as overdue_amount,
        cast(coalesce(sum(changes_by_month.instalment_count) over to_date, 0) as bigint)
            as instalment_count,
        cast(coalesce(sum(changes_by_month.settled_count) over to_date, 0) as bigint)
            as settled_instalment_count,
        coalesce(arrears.missed_instalment_count, 0) as missed_instalment_count,
        cast(coalesce({{ count_days_past_due(
            'arrears.oldest_due_date', 'null', 'loan_months.month_end_date'
        ) }}, 0) as integer) as days_past_due,
        loan_months.month_end_date
    from loan_months
    left join changes_by_month
        on
            loan_months.loan_id = changes_by_month.loan_id
            and loan_months.month_end_date = changes_by_month.month_end_date
    left join arrears
        on
            loan_months.loan_id = arrears.loan_id
            and loan_months.month_end_date = arrears.month_end_date
    window to_date as (
        partition by loan_months.loan_id order by loan_months.month_end_date
        rows between unbounded preceding and current row
    )

)

select * from int_loan_months_summed
