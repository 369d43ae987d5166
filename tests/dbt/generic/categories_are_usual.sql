{#
    A category is new if none of the units before had it. It has vanished if so many of its rows were to be expected
    that their absence is no chance. One row of a new spelling is no finding: `fewest_rows` of them are.
#}
{% test categories_are_usual(
    model, column, at, every='day', where='true', last=1, warm_up=none, fewest_rows=5, limits={}
) %}

    {%- set cadence = get_cadence(every) -%}
    {%- set limits = get_limits(limits, warn_effect=0, error_effect=0.2) -%}
    {%- set warm_up = cadence.warm_up if warm_up is none else warm_up %}

    {% call(is_chosen, is_open) look_at_units(at, every, model) %}

    with rows_counted as (

        select
            {{ begin_unit(at, every) }} as unit_at,
            cast({{ column }} as varchar) as category,
            count(case when {{ is_chosen }} then 1 end) as row_count,
            count(*) as known_count
        from {{ model }}
        where
            {{ at }} is not null and {{ column }} is not null and ({{ where }})
            {%- if not is_open %}
            and {{ is_chosen }}
            {%- endif %}
            and {{ at }} >= (
                select max({{ at }}) - interval '{{ 2 * cadence.reach }}' {{ every }} from {{ model }}
            )
        group by 1, 2

    ),

    units_ordered as (

        select
            *,
            dense_rank() over (order by unit_at desc) as age
        from rows_counted

    ),

    sides_counted as (

        select
            category,
            coalesce(sum(case when age <= {{ last }} then row_count end), 0) as tested_count,
            coalesce(sum(case when age > {{ last }} then row_count end), 0) as earlier_count,
            coalesce(sum(case when age > {{ last }} then known_count end), 0) as known_count
        from units_ordered
        group by category

    ),

    totals_known as (

        select
            sides_counted.*,
            sum(tested_count) over () as all_tested_count,
            sum(earlier_count) over () as all_earlier_count,
            (select count(distinct unit_at) from units_ordered where age > {{ last }}) as history_count
        from sides_counted

    ),

    effects_measured as (

        select
            *,
            1.0e0 * tested_count / nullif(all_tested_count, 0) as tested_share,
            1.0e0 * earlier_count / nullif(all_earlier_count, 0) as earlier_share,
            sqrt(all_tested_count * 1.0e0 * earlier_count / nullif(all_earlier_count, 0)) as expected_score
        from totals_known

    ),

    anomalies_classed as (

        select
            *,
            case
                when known_count = 0 and tested_count >= {{ fewest_rows }}
                    then {{ class_anomaly('(2 * sqrt(tested_count))', 'tested_share', 'history_count', warm_up, limits) }}
                when tested_count = 0
                    then {{ class_anomaly('expected_score', 'earlier_share', 'history_count', warm_up, limits) }}
                else 0
            end as level
        from effects_measured

    ),

    findings_worded as (

        select
            *,
            case when known_count = 0
                then
                    '{{ column }} has the new value ' || category || ' in ' || tested_count || ' of '
                    || all_tested_count || ' rows'
            else
                'none of ' || all_tested_count || ' rows has the value ' || category || ' of {{ column }}, which '
                || round(100 * earlier_share, 1) || ' percent of the earlier ones have'
            end as finding
        from anomalies_classed

    )

    {{ report_anomalies('findings_worded', ['category', 'tested_count', 'tested_share', 'earlier_share']) }}

    {% endcall %}

{% endtest %}
