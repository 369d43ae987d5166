{# A state that arrives after a later one was never the known state. #}
{% macro keep_known_states(changes, key) -%}
    {%- set key_columns = ([key] if key is string else key) | join(', ') -%}
    with changes_compared as (

        select
            *,
            min(known_at) over (
                partition by {{ key_columns }}
                order by change_number
                rows between 1 following and unbounded following
            ) as later_known_at
        from {{ changes }}

    )

    select
        *,
        known_at as known_from,
        lead(known_at, 1, {{ end_of_time() }}) over (
            partition by {{ key_columns }} order by change_number
        ) as known_to
    from changes_compared
    where later_known_at is null or known_at < later_known_at
{%- endmacro %}
