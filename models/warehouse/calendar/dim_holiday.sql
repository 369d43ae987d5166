with dim_date as (

    select * from {{ ref('dim_date') }}

),

holiday_rules as (

    select * from {{ ref('holiday_rules') }}

),

holidays as (

    select * from {{ ref('holidays') }}

),

years as (

    select
        calendar_year,
        {{ compute_easter_sunday('calendar_year') }} as easter_sunday
    from dim_date
    group by calendar_year

),

rules_by_year as (

    select
        holiday_rules.country,
        holiday_rules.holiday_name,
        holiday_rules.iso_day_of_week,
        coalesce(holiday_rules.days_moved_from_saturday, 0) as days_moved_from_saturday,
        coalesce(holiday_rules.days_moved_from_sunday, 0) as days_moved_from_sunday,
        case
            when holiday_rules.days_after_easter is null
                then make_date(years.calendar_year, holiday_rules.month, holiday_rules.day)
            else
                cast({{ dbt.dateadd(
                    'day', 'holiday_rules.days_after_easter', 'years.easter_sunday'
                ) }} as date)
        end as first_possible_date
    from holiday_rules
    inner join years
        on
            years.calendar_year >= coalesce(holiday_rules.first_year, years.calendar_year)
            and years.calendar_year <= coalesce(holiday_rules.last_year, years.calendar_year)

),

weekdays_found as (

    select
        *,
        cast({{ dbt.dateadd(
            'day',
            'coalesce((iso_day_of_week - ' ~ extract_iso_day_of_week('first_possible_date')
            ~ ' + 7) % 7, 0)',
            'first_possible_date'
        ) }} as date) as ruled_date
    from rules_by_year

),

holidays_ruled as (

    select
        country,
        holiday_name,
        cast({{ dbt.dateadd(
            'day',
            'case ' ~ extract_iso_day_of_week('ruled_date')
            ~ ' when 6 then days_moved_from_saturday when 7 then days_moved_from_sunday else 0 end',
            'ruled_date'
        ) }} as date) as holiday_date
    from weekdays_found

),

holidays_left as (

    select
        holidays_ruled.country,
        holidays_ruled.holiday_name,
        holidays_ruled.holiday_date
    from holidays_ruled
    left join holidays
        on
            holidays_ruled.country = holidays.country
            and holidays_ruled.holiday_name = holidays.holiday_name
            and holidays_ruled.holiday_date = holidays.holiday_date
            and not holidays.is_holiday
    where holidays.country is null

),

holidays_added as (

    select
        holidays.country,
        holidays.holiday_name,
        holidays.holiday_date
    from holidays
    inner join dim_date on holidays.holiday_date = dim_date.date_day
    where holidays.is_holiday

),

holidays_united as (

    select * from holidays_left
    union all
    select * from holidays_added

),

dim_holiday as (

    select
        country,
        min(holiday_name) as holiday_name,
        holiday_date
    from holidays_united
    group by country, holiday_date

)

select * from dim_holiday
