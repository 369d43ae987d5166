{#
    For a table without times: its rows are compared with those of earlier releases. A release in which the table did
    not change counts once, so hourly releases of a daily table are one value.
#}
{% test row_count_is_usual(model, warm_up=6, limits={}) %}

    {%- set limits = get_limits(limits) %}

    with profiles_ordered as (

        select
            row_count,
            rows_hash is distinct from lag(rows_hash) over (order by {{ order_releases('release_name') }})
                as has_changed,
            {{ order_releases('release_name') }} as release_number
        from {{ ref('table_profiles') }}
        where table_schema = '{{ model.schema }}' and table_name = '{{ model.identifier }}'

    ),

    counts_listed as (

        select
            row_count,
            row_number() over (order by release_number) as place
        from profiles_ordered
        where has_changed
        union all
        select
            (select count(*) from {{ model }}) as row_count,
            (select count(*) + 1 from profiles_ordered where has_changed) as place

    ),

    series_made as (

        select
            '' as series_name,
            place as unit_at,
            0 as phase,
            row_count,
            {{ stabilise_count('row_count') }} as value,
            greatest(1, 0.01e0 * {{ stabilise_count('row_count') }}) as noise,
            row_number() over (order by place desc) as age
        from counts_listed

    ),

    effects_measured as (

        select
            series_made.row_count,
            scored.history_count,
            scored.score,
            {{ restore_count('scored.expected') }} as expected_count
        from series_made
        inner join {{ score_anomalies('series_made', 12, 4, 4) }} as scored
            on series_made.unit_at = scored.unit_at
        where series_made.age = 1

    ),

    findings_worded as (

        select
            *,
            {{ class_anomaly(
                'score', compare_counts('row_count', 'expected_count'), 'history_count', warm_up, limits
            ) }} as level,
            row_count || ' rows, and ' || cast(round(expected_count) as bigint)
            || ' were to be expected by earlier releases' as finding
        from effects_measured

    )

    {{ report_anomalies('findings_worded', ['row_count', 'expected_count', 'score']) }}

{% endtest %}
