{% test audit_trail_matches_state(model, changes, column) %}

    {%- set key = get_key() | first %}

    with changes_ranked as (

        select
            {{ key }},
            new_{{ column }} as {{ column }},
            row_number() over (partition by {{ key }} order by change_number desc) as number_from_last
        from {{ changes }}

    )

    select
        coalesce(standing.{{ key }}, changes_ranked.{{ key }}) as {{ key }},
        standing.{{ column }},
        changes_ranked.{{ column }} as noted_{{ column }}
    from changes_ranked
    left join {{ model }} as standing on changes_ranked.{{ key }} = standing.{{ key }}
    where
        changes_ranked.number_from_last = 1
        and standing.{{ column }} is distinct from changes_ranked.{{ column }}

{% endtest %}
