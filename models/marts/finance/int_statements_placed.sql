with account_months as (

    select * from {{ ref('int_credit_months_listed') }}

),

statement_states as (

    select * from {{ ref('fct_statement_states') }}

),

-- A state holds from one month's end to another; it does not hold at the second.
states_placed as (

    select
        *,
        {{ dbt.last_day(business_date('valid_from'), 'month') }} as from_month_end_date,
        {{ dbt.last_day(business_date('valid_to'), 'month') }} as to_month_end_date
    from statement_states

),

states_by_month as (

    select * from states_placed
    where from_month_end_date < to_month_end_date

),

-- From this month on, a statement and all before it say nothing more: its minimum stays paid.
statements_cleared as (

    select
        account_id,
        statement_date,
        min(case when is_current and is_minimum_paid then from_month_end_date end)
            as cleared_month_end_date
    from states_by_month
    group by account_id, statement_date

),

statements_followed as (

    select
        *,
        min(cleared_month_end_date) over (
            partition by account_id order by statement_date
            rows between 1 following and unbounded following
        ) as replaced_month_end_date
    from statements_cleared

),

statement_months as (

    select
        account_months.month_end_date,
        states_by_month.*,
        row_number() over (
            partition by account_months.account_id, account_months.month_end_date
            order by states_by_month.statement_date desc
        ) as number_from_last,
        max(
            case when states_by_month.is_minimum_paid then states_by_month.statement_date end
        ) over (
            partition by account_months.account_id, account_months.month_end_date
        ) as last_paid_statement_date
    from account_months
    inner join states_by_month
        on
            account_months.account_id = states_by_month.account_id
            and account_months.month_end_date >= states_by_month.from_month_end_date
            and account_months.month_end_date < states_by_month.to_month_end_date
    inner join statements_followed
        on
            states_by_month.account_id = statements_followed.account_id
            and states_by_month.statement_date = statements_followed.statement_date
            and (
                statements_followed.replaced_month_end_date is null
                or account_months.month_end_date < statements_followed.replaced_month_end_date
            )

),

int_statements_placed as (

    select
        account_id,
        balance_amount,
        limit_amount,
        minimum_due_amount,
        paid_amount,
        payment_status,
        number_from_last = 1 as is_latest,
        coalesce(not is_minimum_paid, false)
        and due_date < month_end_date
        and (last_paid_statement_date is null or last_paid_statement_date < statement_date)
            as is_missed,
        statement_date,
        due_date,
        month_end_date
    from statement_months

)

select * from int_statements_placed
