{#- Facts of what happened; a due date or a planned one would stretch the calendar into the future. -#}
{% set facts = {
    'fct_order_lines': 'ordered_date',
    'fct_payments': 'transacted_date',
    'fct_web_events': 'occurred_date',
    'fct_sensor_readings': 'hour_date',
    'fct_loans': 'opened_date',
    'fct_reviews': 'reviewed_date',
} %}

with facts_bounded as (

    {%- for fact, date in facts.items() %}
    {{ 'union all' if not loop.first }}
    select
        min({{ date }}) as first_date,
        max({{ date }}) as last_date
    from {{ ref(fact) }}
    {%- endfor %}

),

years_bounded as (

    select
        date_trunc('year', min(first_date)) as first_day,
        date_trunc('year', max(last_date)) + interval '1' year - interval '1' day as last_day
    from facts_bounded

),

days_listed as (

    select {{ list_days('first_day', 'last_day') }} as date_day
    from years_bounded

),

dim_date as (

    select
        cast(extract(year from date_day) as integer) as calendar_year,
        cast(extract(quarter from date_day) as integer) as calendar_quarter,
        cast(extract(month from date_day) as integer) as calendar_month,
        {{ extract_iso_day_of_week('date_day') }} as iso_day_of_week,
        {{ extract_iso_day_of_week('date_day') }} >= 6 as is_weekend,
        date_day,
        cast(date_trunc('week', date_day) as date) as first_day_of_week,
        cast(date_trunc('month', date_day) as date) as first_day_of_month
    from days_listed

)

select * from dim_date
