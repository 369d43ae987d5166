{#
    The newest unit may still be open: more rows than usual are told, fewer rows only once a later unit has begun.
    Which one it is depends on all rows of the table, so that a part chosen by `where` that stops is told.
#}
{% test volume_is_usual(model, at, every='day', where='true', last=1, warm_up=none, limits={}) %}

    {%- set cadence = get_cadence(every) -%}
    {%- set limits = get_limits(limits) -%}
    {%- set warm_up = cadence.warm_up if warm_up is none else warm_up %}

    with rows_counted as (

        select
            {{ begin_unit(at, every) }} as unit_at,
            count(*) as row_count
        from {{ model }}
        where {{ at }} is not null and ({{ where }})
        group by 1

    ),

    ends_known as (

        select
            min(unit_at) as first_unit_at,
            (select {{ begin_unit('max(' ~ at ~ ')', every) }} from {{ model }}) as open_unit_at
        from rows_counted

    ),

    units_listed as (

        select {{ list_units(
            "greatest(first_unit_at, open_unit_at - interval '" ~ 6 * cadence.reach ~ "' " ~ every ~ ")",
            'open_unit_at', every
        ) }} as unit_at
        from ends_known
        where first_unit_at is not null

    ),

    series_filled as (

        select
            '' as series_name,
            units_listed.unit_at,
            {{ number_phase('units_listed.unit_at', every) }} as phase,
            {{ stabilise_count('coalesce(rows_counted.row_count, 0)') }} as value,
            1.0e0 as noise,
            coalesce(rows_counted.row_count, 0) as row_count,
            row_number() over (order by units_listed.unit_at desc) as age
        from units_listed
        left join rows_counted on units_listed.unit_at = rows_counted.unit_at

    ),

    effects_measured as (

        select
            series_filled.unit_at,
            series_filled.age,
            series_filled.row_count,
            scored.history_count,
            scored.score,
            scored.shift_score,
            {{ restore_count('scored.expected') }} as expected_count,
            {{ restore_count('(scored.expected + scored.shift)') }} as shifted_count
        from series_filled
        inner join {{ score_anomalies('series_filled', cadence.reach, cadence.seasons, cadence.recent) }} as scored
            on series_filled.unit_at = scored.unit_at

    ),

    anomalies_classed as (

        select
            *,
            case when age > 1 or score > 0
                then {{ class_anomaly(
                    'score', compare_counts('row_count', 'expected_count'), 'history_count', warm_up, limits
                ) }}
            else 0 end as value_level,
            case when age > 1
                then {{ class_anomaly(
                    'shift_score', compare_counts('shifted_count', 'expected_count'), 'history_count',
                    warm_up + 2 * cadence.recent, limits
                ) }}
            else 0 end as shift_level
        from effects_measured
        where age <= {{ last }} + 1

    ),

    findings_worded as (

        select
            *,
            greatest(value_level, least(shift_level, 1)) as level,
            case when value_level > 0
                then
                    row_count || ' rows in the {{ every }} of ' || {{ name_unit('unit_at', every) }} || ', and '
                    || cast(round(expected_count) as bigint) || ' were to be expected'
            else
                'the rows have ' || case when shift_score > 0 then 'risen' else 'fallen' end || ' by '
                || cast(round(100 * abs({{ compare_counts('shifted_count', 'expected_count') }})) as bigint)
                || ' percent in {{ cadence.recent }} {{ every }}s up to ' || {{ name_unit('unit_at', every) }}
            end as finding
        from anomalies_classed

    )

    {{ report_anomalies('findings_worded', ['unit_at', 'row_count', 'expected_count', 'score']) }}

{% endtest %}
