{% test is_k_anonymous(model, person, columns, minimum, age=none, finest_date='year') %}

    with groups_counted as (

        select
            {{ columns | join(', ') }},
            count(distinct {{ person }}) as person_count
        from {{ model }}
        group by {{ columns | join(', ') }}

    )

    select
        'fewer than {{ minimum }} persons share {{ columns | join(", ") }}' as finding,
        person_count as row_count
    from groups_counted
    where person_count < {{ minimum }}

    {% if age is not none %}
    union all

    select
        '{{ age }} tells ages over {{ var('oldest_age') }} apart' as finding,
        count(*) as row_count
    from {{ model }}
    where {{ age }} > {{ var('oldest_age') }}
    having count(*) > 0
    {% endif %}

    {% for date in get_dates() %}
    union all

    select
        '{{ date }} is finer than a {{ finest_date }}' as finding,
        count(*) as row_count
    from {{ model }}
    where {{ date }} <> {{ dbt.date_trunc(finest_date, date) }}
    having count(*) > 0
    {% endfor %}

{% endtest %}
