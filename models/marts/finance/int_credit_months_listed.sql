with line_states as (

    select * from {{ ref('fct_credit_line_states') }}

),

statement_states as (

    select * from {{ ref('fct_statement_states') }}

),

credit_books as (

    select * from {{ ref('int_credit_books_dated') }}

),

first_statements as (

    select
        account_id,
        {{ business_date('min(valid_from)') }} as first_statement_date
    from statement_states
    group by account_id

),

lines_begun as (

    select
        line_states.account_id,
        greatest(
            {{ business_date('line_states.valid_from') }},
            coalesce(line_states.opened_date, first_statements.first_statement_date)
        ) as from_date,
        {{ business_date('line_states.valid_to') }} as to_date
    from line_states
    left join first_statements on line_states.account_id = first_statements.account_id
    where coalesce(line_states.opened_date, first_statements.first_statement_date) is not null

),

days_listed as (

    select {{ list_days(
        'min(lines_begun.from_date)', add_days('max(credit_books.as_of_date)', '-1')
    ) }} as date_day
    from lines_begun
    cross join credit_books

),

months as (

    select date_day as month_end_date
    from days_listed
    where date_day = {{ dbt.last_day('date_day', 'month') }}

),

int_credit_months_listed as (

    select
        lines_begun.account_id,
        months.month_end_date
    from lines_begun
    inner join months
        on
            lines_begun.from_date <= months.month_end_date
            and lines_begun.to_date > months.month_end_date

)

select * from int_credit_months_listed
