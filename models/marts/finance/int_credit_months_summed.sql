with account_months as (

    select * from {{ ref('int_credit_months_listed') }}

),

statement_states as (

    select * from {{ ref('fct_statement_states') }}

),

statements as (

    select * from {{ ref('int_statements_placed') }}

),

latest_statements as (

    select * from statements
    where is_latest

),

-- A minimum due includes what is overdue, so the last missed statement has the whole amount.
arrears as (

    select
        account_id,
        month_end_date,
        count(*) as missed_statement_count,
        min(due_date) as oldest_due_date,
        max(statement_date) as last_missed_statement_date
    from statements
    where is_missed
    group by account_id, month_end_date

),

arrears_with_amount as (

    select
        arrears.*,
        statements.minimum_due_amount - statements.paid_amount as overdue_amount
    from arrears
    inner join statements
        on
            arrears.account_id = statements.account_id
            and arrears.month_end_date = statements.month_end_date
            and arrears.last_missed_statement_date = statements.statement_date

),

-- A state adds its payment when it begins, and its end subtracts it.
changes as (

    select
        account_id,
        {{ dbt.last_day(business_date('valid_from'), 'month') }} as month_end_date,
        paid_amount
    from statement_states

    union all

    select
        account_id,
        {{ dbt.last_day(business_date('valid_to'), 'month') }} as month_end_date,
        -paid_amount as paid_amount
    from statement_states

),

payments_by_month as (

    select
        account_id,
        month_end_date,
        sum(paid_amount) as paid_amount
    from changes
    group by account_id, month_end_date

),

int_credit_months_summed as (

    select
        account_months.account_id,
        latest_statements.balance_amount,
        latest_statements.limit_amount,
        latest_statements.minimum_due_amount,
        latest_statements.paid_amount,
        cast(coalesce(payments_by_month.paid_amount, 0) as decimal(18, 4))
            as paid_in_month_amount,
        cast(coalesce(arrears_with_amount.overdue_amount, 0) as decimal(18, 4)) as overdue_amount,
        case
            when latest_statements.payment_status < -1 then -1
            else latest_statements.payment_status
        end as source_payment_status,
        coalesce(arrears_with_amount.missed_statement_count, 0) as missed_statement_count,
        cast(case
            when arrears_with_amount.oldest_due_date is not null
                then {{ count_days_past_due(
                    'arrears_with_amount.oldest_due_date', 'null', 'account_months.month_end_date'
                ) }}
            when latest_statements.minimum_due_amount is not null then 0
            when latest_statements.payment_status > 1
                then 30 * (latest_statements.payment_status - 1)
            when latest_statements.payment_status is not null
                then greatest(latest_statements.payment_status, 0)
        end as integer) as days_past_due,
        latest_statements.statement_date,
        latest_statements.due_date,
        account_months.month_end_date
    from account_months
    left join latest_statements
        on
            account_months.account_id = latest_statements.account_id
            and account_months.month_end_date = latest_statements.month_end_date
    left join arrears_with_amount
        on
            account_months.account_id = arrears_with_amount.account_id
            and account_months.month_end_date = arrears_with_amount.month_end_date
    left join payments_by_month
        on
            account_months.account_id = payments_by_month.account_id
            and account_months.month_end_date = payments_by_month.month_end_date

)

select * from int_credit_months_summed
