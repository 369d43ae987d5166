{% test no_interval_places_anybody(model, days, source, date, minimum) %}

    with data_spanned as (

        select {{ dbt.datediff('min(' ~ date ~ ')', 'max(' ~ date ~ ')', 'day') }} as day_count
        from {{ source }}

    )

    select
        '{{ days }} leaves fewer than {{ minimum }} days to begin on' as finding,
        count(*) as row_count
    from {{ model }}
    cross join data_spanned
    where {{ days }} > data_spanned.day_count - {{ minimum }}
    having count(*) > 0

{% endtest %}
