-- The effect of the season on the demand of each day, in per cent of an ordinary day.
select
    cast(moment(day_number, 0) as date) as date_day,
    holiday_pct,
    holiday_pct < 100 as is_holiday,
    strftime(moment(day_number, 0), '%m-%d') between '11-24' and '12-23' as is_peak
from calendar
order by day_number;
