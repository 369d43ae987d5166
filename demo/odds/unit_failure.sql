-- Whether a unit fails within seven days. Wear begins five days before a failure, and then the
-- failure is certain. Otherwise one may begin, in 55 of 100 cycles, on any of 18 days.
with cycles as (

    select
        test_rows.row_number,
        epoch(test_rows.as_of) - epoch(moment(0, 0)) as second,
        greatest(
            unit_cycles.started_second + 8 * 86400, (unit_cycles.first_day_number + 6) * 86400
        ) as window_begins,
        unit_cycles.started_second + 26 * 86400 as window_ends,
        unit_cycles.failed_second
    from test_rows
    inner join unit_cycles on test_rows.unit_id = unit_id_of(unit_cycles.unit_number)

),

chances as (

    select
        row_number,
        case
            when failed_second <= second then 0
            when failed_second <= second + 5 * 86400 then 1
            else
                0.55 * greatest(
                    0,
                    least(second + 7 * 86400, window_ends)
                    - greatest(second + 5 * 86400, window_begins)
                ) / (18 * 86400)
                / (
                    1 - 0.55 * greatest(
                        0, least(second + 5 * 86400, window_ends) - window_begins
                    ) / (18 * 86400)
                )
        end as chance
    from cycles

)

select
    row_number,
    1 - product(1 - chance) as odds
from chances
group by row_number;
