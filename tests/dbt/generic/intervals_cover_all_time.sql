{% test intervals_cover_all_time(model, key) %}

    {%- set columns = (get_key() + [key]) | unique | join(', ') %}

    with intervals as (

        select
            {{ columns }},
            valid_from,
            valid_to,
            lag(valid_to, 1, {{ beginning_of_time() }}) over versions_of_key as previous_valid_to,
            lead(valid_from, 1, {{ end_of_time() }}) over versions_of_key as next_valid_from
        from {{ model }}
        window versions_of_key as (partition by {{ key }} order by valid_from)

    )

    select
        {{ columns }},
        valid_from,
        valid_to
    from intervals
    where
        valid_from >= valid_to
        or valid_from <> previous_valid_to
        or valid_to <> next_valid_from

{% endtest %}
