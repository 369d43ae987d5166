{#
    Numbers are counted in ten intervals of equal shares, and categories by value. A number that fills more than one
    interval has one of its own, or a fall below it would not be seen. The population stability index and the largest
    distance of the cumulated shares, as of Kolmogorov and Smirnov, compare a unit with all those before. Each earlier
    unit gets the same index, so that days that always differ, as Sundays do, are no finding.
#}
{% test distribution_is_usual(
    model, column, at, every='day', where='true', kind='number', last=1, warm_up=none, fewest_rows=50,
    warn_psi=0.2, error_psi=0.5
) %}

    {%- set cadence = get_cadence(every) -%}
    {%- set warm_up = cadence.warm_up if warm_up is none else warm_up %}

    {% call(is_chosen, is_open) look_at_units(at, every, model) %}

    with rows_read as (

        select
            {{ begin_unit(at, every) }} as unit_at,
            {{ 'cast(' ~ column ~ ' as double)' if kind == 'number' else 'cast(' ~ column ~ ' as varchar)' }} as tested
        from {{ model }}
        where
            {{ at }} is not null and {{ column }} is not null and ({{ where }})
            and {{ is_chosen }}
            and {{ at }} >= (
                select max({{ at }}) - interval '{{ 2 * cadence.reach }}' {{ every }} from {{ model }}
            )

    ),

    units_ordered as (

        select
            *,
            dense_rank() over (order by unit_at desc) as age
        from rows_read

    ),

    {%- if kind == 'number' %}

    edges_known as (

        select {{ take_quantiles('tested', [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]) }} as edges
        from units_ordered
        where age > {{ last }}

    ),
    {%- endif %}

    bins_counted as (

        select
            units_ordered.unit_at,
            units_ordered.age,
            {%- if kind == 'number' %}
            2 * {{ count_elements('edges_known.edges', 'element < units_ordered.tested') }}
            + case
                when {{ count_elements('edges_known.edges', 'element = units_ordered.tested') }} > 1 then 1
                else 0
            end as bin,
            {%- else %}
            units_ordered.tested as bin,
            {%- endif %}
            count(*) as row_count
        from units_ordered
        {%- if kind == 'number' %}
        cross join edges_known
        {%- endif %}
        group by 1, 2, 3

    ),

    earlier_counted as (

        select
            bin,
            (sum(case when age > {{ last }} then row_count else 0 end) + 0.5e0)
            / (sum(sum(case when age > {{ last }} then row_count else 0 end)) over () + 0.5e0 * count(*) over ())
                as earlier_share
        from bins_counted
        group by bin

    ),

    units_counted as (

        select
            unit_at,
            age,
            sum(row_count) as row_count
        from bins_counted
        group by unit_at, age

    ),

    shares_compared as (

        select
            units_counted.unit_at,
            units_counted.age,
            units_counted.row_count,
            earlier_counted.bin,
            earlier_counted.earlier_share,
            (coalesce(bins_counted.row_count, 0) + 0.5e0)
            / (units_counted.row_count + 0.5e0 * count(*) over (partition by units_counted.unit_at)) as unit_share
        from units_counted
        cross join earlier_counted
        left join bins_counted
            on units_counted.unit_at = bins_counted.unit_at and earlier_counted.bin = bins_counted.bin

    ),

    distances_measured as (

        select
            *,
            abs(sum(unit_share - earlier_share) over (
                partition by unit_at order by bin rows between unbounded preceding and current row
            )) as distance
        from shares_compared

    ),

    units_compared as (

        select
            unit_at,
            age,
            max(row_count) as row_count,
            sum((unit_share - earlier_share) * ln(unit_share / earlier_share)) as psi,
            max(distance) as ks
        from distances_measured
        group by unit_at, age

    ),

    usual_known as (

        select
            *,
            (select count(*) from units_compared as earlier where earlier.age > {{ last }}) as history_count,
            (
                select {{ take_window_quantile('earlier.psi', 0.9) }}
                from units_compared as earlier
                where earlier.age > {{ last }} and earlier.row_count >= {{ fewest_rows }}
            ) as usual_psi
        from units_compared

    ),

    anomalies_classed as (

        select
            *,
            case
                when age > {{ last }} or history_count < {{ warm_up }} or row_count < {{ fewest_rows }} then 0
                when psi < 2 * usual_psi or usual_psi is null then 0
                {%- if kind == 'number' %}
                when ks < 1.95 / sqrt(row_count) then 0
                {%- endif %}
                when psi >= {{ error_psi }} then 2
                when psi >= {{ warn_psi }} then 1
                else 0
            end as level
        from usual_known

    ),

    findings_worded as (

        select
            *,
            'the distribution of {{ column }} in ' || row_count || ' rows of the {{ every }} of ' || {{ name_unit('unit_at', every) }}
            || ' differs from those before: the stability index is ' || round(psi, 2) || ', and usually '
            || round(usual_psi, 2) || ' at most' as finding
        from anomalies_classed

    )

    {{ report_anomalies('findings_worded', ['unit_at', 'row_count', 'psi', 'ks', 'usual_psi']) }}

    {% endcall %}

{% endtest %}
