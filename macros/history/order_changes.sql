{# The order of arrival has no effect, so late-arriving changes find their place. #}
{% macro order_changes(input, key, affected_by=none, touches=none) -%}
    {%- set contract = get_contract(input, key) -%}
    {%- set key_columns = contract.key | join(', ') -%}
    {%- set order_of_changes -%}
        partition by {{ key_columns }}
        order by _generation, _is_tombstone desc, _cursor nulls first, _batch, _row
    {%- endset -%}
    with arrived as (

        select
            *,
            coalesce(_deleted, false) as _is_tombstone,
            {{ contract.cursor }} as _cursor
        from {{ contract.relation }}
        {{ filter_affected_keys(affected_by, touches) }}

    ),

    {% if contract.load == 'append' -%}
    arrivals_numbered as (

        select
            *,
            row_number() over (
                partition by {{ key_columns }}
                order by _batch, _row
            ) as _arrival_number
        from arrived

    ),

    arrivals_that_stand as (

        select * from arrivals_numbered
        where _arrival_number = 1

    ),
    {%- else -%}
    arrivals_that_stand as (

        select * from arrived

    ),
    {%- endif %}

    generations_counted as (

        select
            *,
            count(case when _is_tombstone then 1 end) over by_arrival
            - case when first_value(_is_tombstone) over by_arrival then 1 else 0 end as _generation
        from arrivals_that_stand
        window by_arrival as (
            partition by {{ key_columns }}
            order by _batch, _row
            rows between unbounded preceding and current row
        )

    ),

    changes_timed as (

        select
            *,
            case
                when _is_tombstone
                    then _loaded_at
                when _generation > 0
                    then greatest(coalesce(_cursor, _loaded_at), _loaded_at)
                when
                    max(case when _generation = 0 then _cursor end) over (
                        partition by {{ key_columns }}
                    ) is null
                    then _loaded_at
                else _cursor
            end as _seen_at
        from generations_counted
        where not (_is_tombstone and _generation = 0)

    )

    select
        *,
        max(_seen_at) over (
            {{ order_of_changes }}
            rows between unbounded preceding and current row
        ) as _changed_at,
        row_number() over ({{ order_of_changes }}) as _change_number,
        row_number() over (
            partition by {{ key_columns }}
            order by
                _generation desc, _is_tombstone asc, _cursor desc nulls last, _batch desc, _row desc
        ) as _number_from_last
    from changes_timed
{%- endmacro %}
