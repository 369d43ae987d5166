with results as (

    select
        'compute_normal_tail' as macro_name,
        round({{ compute_normal_tail('given.z') }}, 9) as result,
        0.025 as worked_result
    from (values (1.959963984540054e0), (-1.959963984540054e0)) as given (z)

    union all

    select
        'compute_normal_tail far out' as macro_name,
        round({{ compute_normal_tail('given.z') }} * 1e15, 6) as result,
        0.622096 as worked_result
    from (values (8e0)) as given (z)

    union all

    select
        'compute_chi_square_tail' as macro_name,
        round({{ compute_chi_square_tail('given.statistic', 'given.degrees') }}, 6)
            as result,
        0.001 as worked_result
    from (
        values (10.827566e0, 1), (13.815511e0, 2), (16.266236e0, 3), (18.466827e0, 4)
    ) as given (statistic, degrees)

    union all

    select
        'compute_cube_root_ratio' as macro_name,
        round({{ compute_cube_root_ratio('24', '3') }}, 9) as result,
        2 as worked_result

    union all

    select
        'compute_normal_quantile' as macro_name,
        {{ compute_normal_quantile() }} as result,
        1.959963984540054 as worked_result

    union all

    select
        'compute_student_quantile' as macro_name,
        round({{ compute_student_quantile('10') }}, 3) as result,
        2.228 as worked_result

    union all

    select
        'compute_student_quantile of too few degrees' as macro_name,
        {{ compute_student_quantile('2.9e0') }} as result,
        null as worked_result

    union all

    select
        'compute_wilson_bound below' as macro_name,
        round({{ compute_wilson_bound('1', '10', '-') }}, 4) as result,
        0.0179 as worked_result

    union all

    select
        'compute_wilson_bound above' as macro_name,
        round({{ compute_wilson_bound('1', '10', '+') }}, 4) as result,
        0.4042 as worked_result

    union all

    select
        'compute_wilson_bound without trials' as macro_name,
        {{ compute_wilson_bound('0', '0', '+') }} as result,
        null as worked_result

    union all

    select
        'compute_empty_gap_probability' as macro_name,
        round({{ compute_empty_gap_probability('20', '560', '280') }}, 6) as result,
        0.000246 as worked_result

    union all

    select
        'compute_empty_gap_probability without a time before' as macro_name,
        {{ compute_empty_gap_probability('0', '0', '280') }} as result,
        1 as worked_result

    union all

    select
        'compute_easter_sunday in ' || cast(years.calendar_year as varchar) as macro_name,
        {{ convert_to_epoch_us(
            'cast(' ~ compute_easter_sunday('years.calendar_year') ~ ' as timestamp)'
        ) }} as result,
        {{ convert_to_epoch_us('years.worked_result') }} as worked_result
    from (
        values
        (1954, timestamp '1954-04-18'),
        (1981, timestamp '1981-04-19'),
        (2000, timestamp '2000-04-23'),
        (2026, timestamp '2026-04-05'),
        (2038, timestamp '2038-04-25')
    ) as years (calendar_year, worked_result)

)

select
    macro_name,
    result,
    worked_result
from results
where result is distinct from worked_result
