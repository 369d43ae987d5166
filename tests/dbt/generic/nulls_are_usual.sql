{# A column of few rows is noisy, which the transform of shares takes into account. #}
{% test nulls_are_usual(model, columns, at, every='day', where='true', last=1, warm_up=none, limits={}) %}

    {%- set cadence = get_cadence(every) -%}
    {%- set limits = get_limits(limits, warn_score=3.5, warn_effect=0.02, error_effect=0.2) -%}
    {%- set warm_up = cadence.warm_up if warm_up is none else warm_up %}

    {% call(is_chosen, is_open) look_at_units(at, every, model) %}

    with nulls_counted as (

        select
            {{ begin_unit(at, every) }} as unit_at,
            {%- for column in columns %}
            count(*) - count({{ column }}) as nulls_of_{{ loop.index }},
            {%- endfor %}
            count(*) as row_count
        from {{ model }}
        where
            {{ at }} is not null and ({{ where }})
            and {{ is_chosen }}
            and {{ at }} >= (
                select max({{ at }}) - interval '{{ 6 * cadence.reach }}' {{ every }} from {{ model }}
            )
        group by 1

    ),

    columns_listed as (

        {%- for column in columns %}
        {{ 'union all' if not loop.first }}
        select
            '{{ column }}' as series_name,
            unit_at,
            nulls_of_{{ loop.index }} as null_count,
            row_count
        from nulls_counted
        {%- endfor %}

    ),

    series_made as (

        select
            *,
            {{ number_phase('unit_at', every) }} as phase,
            {{ stabilise_share('null_count', 'row_count') }} as value,
            1 / (2 * sqrt(row_count)) as noise,
            dense_rank() over (order by unit_at desc) as age
        from columns_listed

    ),

    effects_measured as (

        select
            series_made.series_name as column_name,
            series_made.unit_at,
            series_made.age,
            series_made.row_count,
            scored.history_count,
            scored.score,
            1.0e0 * series_made.null_count / series_made.row_count as null_share,
            {{ restore_share('scored.expected') }} as expected_share
        from series_made
        inner join {{ score_anomalies('series_made', cadence.reach, cadence.seasons, cadence.recent) }} as scored
            on series_made.series_name = scored.series_name and series_made.unit_at = scored.unit_at

    ),

    anomalies_classed as (

        select
            *,
            {{ class_anomaly(
                'score', '(null_share - expected_share)', 'history_count', warm_up, limits
            ) }} as level
        from effects_measured
        where age <= {{ last }} and score > 0

    ),

    findings_worded as (

        select
            *,
            column_name || ' is null in ' || round(100 * null_share, 1) || ' percent of ' || row_count
            || ' rows in the {{ every }} of ' || {{ name_unit('unit_at', every) }} || ', and ' || round(100 * expected_share, 1)
            || ' percent were to be expected' as finding
        from anomalies_classed

    )

    {{ report_anomalies('findings_worded', ['column_name', 'unit_at', 'null_share', 'expected_share', 'score']) }}

    {% endcall %}

{% endtest %}
