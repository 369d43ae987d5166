{#
    One series for each value of `by`, of the mean in each unit. A value that stays the same for longer than it ever did
    is stuck. A unit without rows has no value: that is a matter of volume. The mean of equal values is that value: a sum
    of doubles is rounded, so that the mean of 24 times 3.3 is not that of 20 times.
#}
{% test values_are_usual(
    model, value, at, by=none, every='day', where='true', scale='linear', last=1, warm_up=none, limits={}
) %}

    {%- set cadence = get_cadence(every) -%}
    {%- set limits = get_limits(limits) -%}
    {%- set warm_up = cadence.warm_up if warm_up is none else warm_up -%}
    {%- if scale not in ['linear', 'log'] -%}
        {%- do exceptions.raise_compiler_error("A scale is 'linear' or 'log', and not " ~ scale ~ '.') -%}
    {%- endif %}

    {% call(is_chosen, is_open) look_at_units(at, every, model) %}

    with units_measured as (

        select
            {{ 'cast(' ~ by ~ ' as varchar)' if by else "''" }} as series_name,
            {{ begin_unit(at, every) }} as unit_at,
            case when min({{ value }}) = max({{ value }})
                then min(cast({{ value }} as double))
            else avg(cast({{ value }} as double))
            end as mean_value
        from {{ model }}
        where
            {{ at }} is not null and {{ value }} is not null and ({{ where }})
            {%- if scale == 'log' %}
            and {{ value }} > 0
            {%- endif %}
            and {{ is_chosen }}
            and {{ at }} >= (
                select max({{ at }}) - interval '{{ 6 * cadence.reach }}' {{ every }} from {{ model }}
            )
        group by 1, 2

    ),

    series_made as (

        select
            *,
            {{ number_phase('unit_at', every) }} as phase,
            {{ 'ln(mean_value)' if scale == 'log' else 'mean_value' }} as value,
            0.0e0 as noise,
            dense_rank() over (order by unit_at desc) as age
        from units_measured

    ),

    effects_measured as (

        select
            series_made.series_name,
            series_made.unit_at,
            series_made.mean_value,
            scored.history_count,
            scored.score,
            scored.run_length,
            scored.stuck_score,
            {{ 'exp(scored.expected)' if scale == 'log' else 'scored.expected' }} as expected_value
        from series_made
        inner join {{ score_anomalies('series_made', cadence.reach, cadence.seasons, cadence.recent) }} as scored
            on series_made.series_name = scored.series_name and series_made.unit_at = scored.unit_at
        where series_made.age <= {{ last }}

    ),

    anomalies_classed as (

        select
            *,
            {%- if is_open %}
            case
                when stuck_score >= {{ limits.stuck_score }} and history_count >= {{ warm_up }} then 1
                else 0
            end as stuck_level,
            {%- else %}
            0 as stuck_level,
            {%- endif %}
            {{ class_anomaly(
                'score', compare_counts('mean_value', 'expected_value'), 'history_count', warm_up, limits
            ) }} as value_level
        from effects_measured

    ),

    findings_worded as (

        select
            *,
            greatest(stuck_level, value_level) as level,
            {{ "'" ~ by ~ " ' || series_name || ': ' || " if by }}
            case when stuck_level > 0
                then '{{ value }} has been the same for ' || run_length || ' {{ every }}s up to ' || {{ name_unit('unit_at', every) }}
            else
                '{{ value }} is ' || round(mean_value, 2) || ' in the {{ every }} of ' || {{ name_unit('unit_at', every) }} || ', and '
                || round(expected_value, 2) || ' was to be expected'
            end as finding
        from anomalies_classed

    )

    {{ report_anomalies('findings_worded', ['series_name', 'unit_at', 'mean_value', 'expected_value', 'score']) }}

    {% endcall %}

{% endtest %}
