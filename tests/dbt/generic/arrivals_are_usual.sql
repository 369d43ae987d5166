{#
    The clock is the newest arrival in any of several tables: a source that stops while others go on is seen, and the
    test gives the same result whenever it runs. If all of them stop, the freshness of the contract tells it.
#}
{% test arrivals_are_usual(model, clock, warm_up=6, least_hours=1, limits={}) %}

    {%- set limits = get_limits(limits, warn_effect=0.5, error_effect=0.8) %}

    with loads_listed as (

        select
            _load_id,
            max(_loaded_at) as arrived_at
        from {{ model }}
        group by _load_id

    ),

    intervals_measured as (

        select
            arrived_at,
            {{ count_hours('lag(arrived_at) over (order by arrived_at)', 'arrived_at') }} as interval_hours,
            row_number() over (order by arrived_at desc) as age
        from loads_listed

    ),

    usual_known as (

        select
            count(interval_hours) as history_count,
            median(interval_hours) as usual_hours,
            max(arrived_at) as last_arrived_at
        from intervals_measured
        where age <= 60

    ),

    spreads_known as (

        select
            usual_known.*,
            {{ count_hours('usual_known.last_arrived_at', 'clocks.newest_at') }} as open_hours,
            (
                select greatest(
                    1.4826 * median(abs(intervals_measured.interval_hours - usual_known.usual_hours)),
                    quantile_cont(abs(intervals_measured.interval_hours - usual_known.usual_hours), 0.95) / 1.96,
                    {{ least_hours }}
                )
                from intervals_measured
                where intervals_measured.age <= 60
            ) as spread_hours
        from usual_known
        cross join (
            select max(newest_at) as newest_at
            from (
                {%- for table in clock %}
                {{ 'union all' if not loop.first }}
                select max(_loaded_at) as newest_at from {{ table }}
                {%- endfor %}
            ) as clocks_listed
        ) as clocks

    ),

    findings_worded as (

        select
            *,
            {{ class_anomaly(
                '(greatest(open_hours - usual_hours, 0) / spread_hours)', compare_counts('open_hours', 'usual_hours'),
                'history_count', warm_up, limits
            ) }} as level,
            'nothing has arrived for ' || round(open_hours, 1) || ' hours, and ' || round(usual_hours, 1)
            || ' were usual between two loads' as finding
        from spreads_known

    )

    {{ report_anomalies('findings_worded', ['last_arrived_at', 'open_hours', 'usual_hours']) }}

{% endtest %}
