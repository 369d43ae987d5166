-- Chance and time, for every other file. A draw depends on the seed, its purpose and what it is
-- for, and on nothing else: a day comes out the same however it was reached, on every machine.
-- All arithmetic is of integers; md5 rather than hash(), which may differ between versions.
create macro bits_of(purpose, subject) as cast(
    md5_number(getvariable('seed') || ':' || purpose || ':' || subject)
    & 18446744073709551615 as ubigint
);

-- 64 bits hold four draws of 16 bits, in places 0 to 3: each from 0 to choices - 1.
create macro draw(bits, place, choices) as (
    cast((bits >> (16 * place)) & 65535 as bigint) * choices // 65536
);

-- For many choices: 32 bits, in place 0 (where draw has 0 and 1) or 1 (where it has 2 and 3).
create macro draw_of_many(bits, place, choices) as (
    cast((bits >> (32 * place)) & 4294967295 as bigint) * choices // 4294967296
);

-- Low numbers come more often, as the square of an even draw; uses the lowest 20 bits.
create macro draw_skewed(bits, choices) as (
    (cast(bits & 1048575 as bigint) * cast(bits & 1048575 as bigint) * choices) >> 40
);

create macro draw_from(bits, place, list) as list[1 + draw(bits, place, len(list))];

-- Days are numbered from the first day of history, which is 0.
create macro moment(day_number, seconds) as (
    cast(getvariable('history_starts') as timestamp)
    + to_seconds(cast(day_number * 86400 + seconds as bigint))
);

create macro day_of(moment) as (
    date_diff('day', getvariable('history_starts'), cast(moment as date))
);

-- How many days a change takes to show up in its source, by a draw of 1000. The usual delay is a
-- day or two, the long one four to nine: a loader that looks back two days misses the long ones.
create macro days_late(draw_of_1000, usual_permille, long_permille) as case
    when draw_of_1000 < usual_permille then 1 + draw_of_1000 % 2
    when draw_of_1000 < usual_permille + long_permille then 4 + draw_of_1000 % 6
    else 0
end;

-- Shown in the source by the clock's day; shown for the first time since the last one.
create macro is_shown(day_number) as coalesce(day_number <= getvariable('until_day'), false);

create macro is_news(day_number) as (
    is_shown(day_number) and day_number > getvariable('since_day')
);

-- A variable takes the narrowest type that its value fits, which products of it would overflow.
create macro scale_permille() as cast(getvariable('scale_permille') as bigint);

create macro customers_by(day_number) as (
    scale_permille() * (40000 + 141 * (day_number + 1)) // 10000
);

create macro products_by(day_number) as (
    greatest(12, scale_permille() * (460000 + 95 * (day_number + 1)) // 1000000)
);

create macro customer_id_of(customer_number) as lpad(cast(customer_number + 1 as varchar), 8, '0');

create macro order_id_of(order_number) as lpad(cast(order_number + 1 as varchar), 9, '0');

-- Stock codes are scattered, so that their order says nothing; 1000003 is a prime.
create macro product_id_of(product_number) as (
    lpad(cast((product_number * 7919 + 101) % 1000003 as varchar), 7, '0')
);

-- By Gauss's rule, which holds from 1900 to 2099.
create macro moon_days(year) as (19 * (year % 19) + 24) % 30;

create macro sunday_days(year) as (
    (2 * (year % 4) + 4 * (year % 7) + 6 * moon_days(year) + 5) % 7
);

create macro easter_of(year) as (
    make_date(year, 3, 22) + cast(
        moon_days(year) + sunday_days(year) - if(
            sunday_days(year) = 6
            and (moon_days(year) = 29 or (moon_days(year) = 28 and year % 19 > 10)),
            7, 0
        ) as integer
    )
);

-- The public holidays of all of Germany, where most customers live.
create macro is_holiday(day) as (
    strftime(day, '%m-%d') in ('01-01', '05-01', '10-03', '12-25', '12-26')
    or day - easter_of(year(day)) in (-2, 1, 39, 50)
);

-- What a day's demand is of an ordinary one's, by season: gifts are bought from late November to
-- 23 December, and little on holidays.
create macro holiday_pct(day) as case
    when strftime(day, '%m-%d') between '12-24' and '12-26' then 45
    when strftime(day, '%m-%d') in ('12-31', '01-01') then 55
    when is_holiday(day) then 70
    when strftime(day, '%m-%d') between '11-24' and '11-30' then 135
    when strftime(day, '%m-%d') between '12-01' and '12-20' then 160
    when strftime(day, '%m-%d') between '12-21' and '12-23' then 135
    else 100
end;

create table calendar as

with days as (

    select
        day_number,
        getvariable('history_starts') + cast(day_number as integer) as day,
        bits_of('demand', day_number) as demand_bits
    from range(0, getvariable('until_day') + 1) as numbers (day_number)

),

demand_shaped as (

    select
        day_number,
        demand_bits,
        day,
        date_diff('month', getvariable('history_starts'), day) as month_number,
        day_number - (day(day) - 1) as month_first_day_number,
        [124, 112, 104, 98, 96, 72, 94][isodow(day)] as weekday_pct,
        [118, 114, 106, 98, 94, 86, 82, 84, 94, 104, 108, 108][month(day)] as month_pct,
        holiday_pct(day) as holiday_pct,
        850 + day_number * 7 // 10 as growth_permille,
        90 + draw(demand_bits, 0, 21) as noise_pct
    from days

),

-- The fraction of an order that is left over becomes one by chance, so that small scales are right.
orders_counted as (

    select
        *,
        (
            scale_permille() * 92
            * weekday_pct * month_pct * growth_permille * noise_pct // 1000000000
            * holiday_pct // 100
            + draw(demand_bits, 1, 1000)
        ) // 1000 as order_count
    from demand_shaped

)

select
    day_number,
    month_number,
    month_first_day_number,
    holiday_pct,
    order_count,
    cast(coalesce(sum(order_count) over (
        order by day_number rows between unbounded preceding and 1 preceding
    ), 0) as bigint) as orders_before,
    day
from orders_counted
order by day_number;
