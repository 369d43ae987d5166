{# The holidays of the days whose demand is wanted, for each row of a spine. #}
{% macro count_horizon_holidays(spine, holidays) -%}
    select
        spine.*,
        cast((
            select count(*)
            from {{ holidays }} as holidays
            where
                holidays.holiday_date >= spine.as_of_date
                and holidays.holiday_date
                < {{ add_days('spine.as_of_date', var('demand_horizon_days')) }}
        ) as integer) as horizon_holiday_count
    from {{ spine }} as spine
{%- endmacro %}
