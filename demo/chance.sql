-- Random draws and time, for every other file. A draw depends only on the seed, its purpose and its
-- subject. So a day has the same data on every machine, after one step or many. All arithmetic uses
-- integers. The hash is md5, because hash() may differ between versions.
create macro bits_of(purpose, subject) as cast(
    md5_number(getvariable('seed') || ':' || purpose || ':' || subject)
    & 18446744073709551615 as ubigint
);

-- The other 64 bits of the same hash: a subject with many draws needs half as many hashes.
create macro further_bits_of(purpose, subject) as cast(
    md5_number(getvariable('seed') || ':' || purpose || ':' || subject) >> 64 as ubigint
);

-- Draw a number from 0 to choices - 1. 64 bits hold four draws of 16 bits, in places 0 to 3.
create macro draw(bits, place, choices) as (
    cast((bits >> (16 * place)) & 65535 as bigint) * choices // 65536
);

-- Draw from many choices, with 32 bits. Place 0 has the bits of places 0 and 1 of draw(), and place
-- 1 has those of places 2 and 3.
create macro draw_of_many(bits, place, choices) as (
    cast((bits >> (32 * place)) & 4294967295 as bigint) * choices // 4294967296
);

-- Draw low numbers more often: the square of a uniform draw. It uses the lowest 20 bits.
create macro draw_skewed(bits, choices) as (
    (cast(bits & 1048575 as bigint) * cast(bits & 1048575 as bigint) * choices) >> 40
);

create macro draw_from(bits, place, list) as list[1 + draw(bits, place, len(list))];

-- The first day of the history has the number 0.
create macro moment(day_number, seconds) as (
    cast(getvariable('history_starts') as timestamp)
    + to_seconds(cast(day_number * 86400 + seconds as bigint))
);

create macro day_of(moment) as (
    date_diff('day', getvariable('history_starts'), cast(moment as date))
);

-- Return the delay in days until a change appears in its source. The usual delay is one or two
-- days, and the long delay is four to nine. A loader with a lookback of two days misses the long
-- delays.
create macro days_late(draw_of_1000, usual_permille, long_permille) as case
    when draw_of_1000 < usual_permille then 1 + draw_of_1000 % 2
    when draw_of_1000 < usual_permille + long_permille then 4 + draw_of_1000 % 6
    else 0
end;

-- Return whether the source shows a row on the clock's day.
create macro is_shown(day_number) as coalesce(day_number <= getvariable('until_day'), false);

-- Return whether the source shows a row on the clock's day, and did not on its previous day.
create macro is_news(day_number) as (
    is_shown(day_number) and day_number > getvariable('since_day')
);

-- DuckDB gives a variable the narrowest type for its value; products would overflow that type.
create macro scale_permille() as cast(getvariable('scale_permille') as bigint);

create macro customers_by(day_number) as (
    scale_permille() * (40000 + 141 * (day_number + 1)) // 10000
);

create macro products_by(day_number) as (
    greatest(12, scale_permille() * (460000 + 95 * (day_number + 1)) // 1000000)
);

create macro customer_id_of(customer_number) as lpad(cast(customer_number + 1 as varchar), 8, '0');

create macro order_id_of(order_number) as lpad(cast(order_number + 1 as varchar), 9, '0');

-- Scatter the product ids, so that their order has no meaning. 1000003 is a prime number.
create macro product_id_of(product_number) as (
    lpad(cast((product_number * 7919 + 101) % 1000003 as varchar), 7, '0')
);

-- Compute Easter by Gauss's algorithm, which is valid from 1900 to 2099.
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

-- Return whether a day is a holiday in all of Germany, the country with the most customers.
create macro is_holiday(day) as (
    strftime(day, '%m-%d') in ('01-01', '05-01', '10-03', '12-25', '12-26')
    or day - easter_of(year(day)) in (-2, 1, 39, 50)
);

-- Return the demand of a day in per cent of an ordinary day. Customers buy gifts from 24 November
-- to 23 December, and little on holidays.
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

-- Round the fraction of an order up or down by chance, so that small scales have the right mean.
orders_counted as (

    select
        *,
        (
            scale_permille() * 92
            * weekday_pct * month_pct * growth_permille * noise_pct // 1000000000
            * holiday_pct // 100
            + draw(demand_bits, 1, 1000)
        ) // 1000 as order_count,
        scale_permille() * 92 * weekday_pct * month_pct * growth_permille // 10000000
        * holiday_pct // 100 as usual_order_permille
    from demand_shaped

)

select
    day_number,
    month_number,
    month_first_day_number,
    holiday_pct,
    order_count,
    usual_order_permille,
    cast(coalesce(sum(order_count) over (
        order by day_number rows between unbounded preceding and 1 preceding
    ), 0) as bigint) as orders_before,
    day
from orders_counted
order by day_number;
