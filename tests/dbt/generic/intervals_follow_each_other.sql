{% test intervals_follow_each_other(model, key, may_pause=false) %}

    {%- set columns = (get_key() + [key, 'valid_from']) | unique | join(', ') %}

    with intervals as (

        select
            {{ columns }},
            valid_to,
            lead(valid_from) over (partition by {{ key }} order by valid_from) as next_valid_from
        from {{ model }}

    )

    select
        {{ columns }},
        valid_to,
        next_valid_from
    from intervals
    where valid_to {{ '>' if may_pause else '<>' }} next_valid_from

{% endtest %}
