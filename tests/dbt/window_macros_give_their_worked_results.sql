with results as (

    select
        'impute_last' as macro_name,
        string_agg(
            coalesce(cast(windowed.found as varchar), 'null'), ', '
            order by windowed.place
        ) as result,
        '4, 4, 4' as worked_result
    from (
        with readings (place, read_at, celsius) as (

            values
            (1, timestamp '2026-01-01 01:00:00', 4),
            (2, timestamp '2026-01-01 02:00:00', null),
            (3, timestamp '2026-01-01 05:00:00', null)

        )

        select
            place,
            {{ impute_last('celsius', 'read_at') }} as found
        from readings
    ) as windowed

    union all

    select
        'impute_last within 2h' as macro_name,
        string_agg(
            coalesce(cast(windowed.found as varchar), 'null'), ', '
            order by windowed.place
        ) as result,
        '4, 4, null' as worked_result
    from (
        with readings (place, read_at, celsius) as (

            values
            (1, timestamp '2026-01-01 01:00:00', 4),
            (2, timestamp '2026-01-01 02:00:00', null),
            (3, timestamp '2026-01-01 05:00:00', null)

        )

        select
            place,
            {{ impute_last('celsius', 'read_at', within='2h') }} as found
        from readings
    ) as windowed

    union all

    select
        'lag_by_rows' as macro_name,
        string_agg(
            coalesce(cast(windowed.found as varchar), 'null'), ', '
            order by windowed.place
        ) as result,
        'null, null, 1' as worked_result
    from (
        with readings (place, sold_at, units) as (

            values
            (1, timestamp '2026-01-01 01:00:00', 1),
            (2, timestamp '2026-01-01 02:00:00', 2),
            (3, timestamp '2026-01-01 03:00:00', 4)

        )

        select
            place,
            {{ lag_by_rows('units', 2, 'sold_at') }} as found
        from readings
    ) as windowed

    union all

    select
        'lag_by_time' as macro_name,
        string_agg(
            coalesce(cast(windowed.found as varchar), 'null'), ', '
            order by windowed.place
        ) as result,
        'null, 1, 2' as worked_result
    from (
        with readings (place, sold_at, units) as (

            values
            (1, timestamp '2026-01-01 01:00:00', 1),
            (2, timestamp '2026-01-01 02:00:00', 2),
            (3, timestamp '2026-01-01 03:00:00', 4)

        )

        select
            place,
            {{ lag_by_time('units', '1h', 'sold_at') }} as found
        from readings
    ) as windowed

    union all

    select
        'roll_by_rows' as macro_name,
        string_agg(
            coalesce(cast(windowed.found as varchar), 'null'), ', '
            order by windowed.place
        ) as result,
        '0, 1, 3' as worked_result
    from (
        with readings (place, sold_at, units) as (

            values
            (1, timestamp '2026-01-01 01:00:00', 1),
            (2, timestamp '2026-01-01 02:00:00', 2),
            (3, timestamp '2026-01-01 03:00:00', 4)

        )

        select
            place,
            {{ roll_by_rows('sum', 'units', 2, 'sold_at') }} as found
        from readings
    ) as windowed

    union all

    select
        'roll_by_time' as macro_name,
        string_agg(
            coalesce(cast(windowed.found as varchar), 'null'), ', '
            order by windowed.place
        ) as result,
        '0, 1, 2' as worked_result
    from (
        with readings (place, sold_at, units) as (

            values
            (1, timestamp '2026-01-01 01:00:00', 1),
            (2, timestamp '2026-01-01 02:00:00', 2),
            (3, timestamp '2026-01-01 03:00:00', 4)

        )

        select
            place,
            {{ roll_by_time('sum', 'units', '1h', 'sold_at') }} as found
        from readings
    ) as windowed

    union all

    select
        'smooth_by_average' as macro_name,
        string_agg(
            coalesce(cast(windowed.found as varchar), 'null'), ', '
            order by windowed.place
        ) as result,
        '5.0, 6.0, 9.5' as worked_result
    from (
        with readings (place, celsius) as (

            values
            (1, 5),
            (2, 7),
            (3, 12)

        )

        select
            place,
            {{ smooth_by_average('celsius', 2, 'place') }} as found
        from readings
    ) as windowed

    union all

    select
        'smooth_exponentially' as macro_name,
        string_agg(
            cast(round(fitted.celsius_smoothed, 2) as varchar), ', '
            order by fitted.place
        ) as result,
        '1.0, 1.67, 1.67, 3.0' as worked_result
    from (
        with readings (place, celsius) as (

            values
            (1, 1),
            (2, 2),
            (3, null),
            (4, 4)

        )

        select * from (
            {{ smooth_exponentially('readings', 'celsius', 0.5, 'place') }}
        ) as fitted
    ) as fitted

    union all

    select
        'order_rows' as macro_name,
        '{{ order_rows('read_at', 'unit_id') }}' as result,
        'partition by unit_id order by read_at nulls last' as worked_result

    union all

    select
        'frame_rows' as macro_name,
        '{{ frame_rows(3, centred=false) }}' as result,
        'rows between 2 preceding and current row' as worked_result

    union all

    select
        'convert_duration_to_us' as macro_name,
        '{{ convert_duration_to_us('10m') }}' as result,
        '600000000' as worked_result

    union all

    select
        'make_pair' as macro_name,
        cast(max({{ make_pair('given.number', 'given.place') }}) as varchar) as result,
        '{''first'': 9, ''second'': 3}' as worked_result
    from (values (9, 1), (2, 2), (9, 3)) as given (number, place)

)

select
    macro_name,
    result,
    worked_result
from results
where result is distinct from worked_result
