-- Whether a loan defaults within six months, by what the borrower has paid so far: punctual, late,
-- in parts, or about to stop with the second to fifth instalment. Each is as likely as it makes the
-- payments up to the row's time.
with borrowers as (

    select * from (
        values
        ('punctual', null, 0.70),
        ('late', null, 0.14),
        ('in parts', null, 0.08),
        ('defaulting', 2, 0.02),
        ('defaulting', 3, 0.02),
        ('defaulting', 4, 0.02),
        ('defaulting', 5, 0.02)
    ) as kinds (kind, stops_at, share)

),

loans_dated as (

    select
        row_number,
        loan_id,
        as_of,
        last_day(cast(as_of - interval 1 month as date)) as month_end_date
    from test_rows

),

-- late_days is null if nothing was paid yet, and open_days is then the time since the due date.
instalments_seen as (

    select
        loans_dated.row_number,
        instalments.instalment_number,
        if(
            instalments.manner <> 'never'
            and instalments.due_date + to_days(cast(instalments.late_days as integer))
            + to_seconds(instalments.second_of_day) < loans_dated.as_of,
            instalments.late_days,
            null
        ) as late_days,
        date_diff('day', instalments.due_date, cast(loans_dated.as_of as date)) as open_days,
        instalments.manner = 'in parts' as is_in_parts
    from loans_dated
    inner join instalments
        on
            loans_dated.loan_id = instalments.loan_id
            and loans_dated.as_of > instalments.due_date

),

likelihoods as (

    select
        instalments_seen.row_number,
        borrowers.kind,
        borrowers.stops_at,
        case
            when instalments_seen.instalment_number >= borrowers.stops_at
                then if(instalments_seen.late_days is null, 1, 0)
            when borrowers.kind in ('late', 'defaulting')
                then case
                    when instalments_seen.late_days is null
                        then 0.4 * greatest(0, least(60, 63 - instalments_seen.open_days)) / 60
                    when instalments_seen.late_days > 0 then 0.4 / 60
                    else 0.6 / 3
                end
            when coalesce(instalments_seen.late_days, 1) > 0 then 0
            else 1 / 3
        end
        * case
            when instalments_seen.late_days is null then 1
            when borrowers.kind = 'in parts' then 0.5
            when instalments_seen.is_in_parts then 0
            else 1
        end as likelihood
    from instalments_seen
    cross join borrowers

),

histories_weighed as (

    select
        row_number,
        kind,
        stops_at,
        product(likelihood) as likelihood
    from likelihoods
    group by row_number, kind, stops_at

),

kinds_weighed as (

    select
        loans_dated.*,
        borrowers.stops_at,
        borrowers.share * coalesce(histories_weighed.likelihood, 1) as weight
    from loans_dated
    cross join borrowers
    left join histories_weighed
        on
            loans_dated.row_number = histories_weighed.row_number
            and borrowers.kind = histories_weighed.kind
            and borrowers.stops_at is not distinct from histories_weighed.stops_at

)

select
    kinds_weighed.row_number,
    sum(
        kinds_weighed.weight * cast(
            coalesce(
                instalments.due_date + 90
                <= last_day(kinds_weighed.month_end_date + interval 6 months),
                false
            ) as integer
        )
    ) / sum(kinds_weighed.weight) as odds
from kinds_weighed
left join instalments
    on
        kinds_weighed.loan_id = instalments.loan_id
        and kinds_weighed.stops_at = instalments.instalment_number
group by kinds_weighed.row_number;
