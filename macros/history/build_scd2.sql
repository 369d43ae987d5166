{# SCD type 2: one row per version. #}
{% macro build_scd2(history, key, attributes) -%}
    {%- set compared = ['is_deleted'] + attributes -%}
    with changes_at_one_time_ranked as (

        select
            *,
            row_number() over (
                partition by {{ key }}, changed_at
                order by change_number desc
            ) as number_from_last
        from {{ history }}

    ),

    changes_compared as (

        select
            *,
            row_number() over changes_of_key = 1
            or {{ differs_from_last(compared, over='changes_of_key') | indent(8) }}
            as is_a_change
        from changes_at_one_time_ranked
        where number_from_last = 1
        window changes_of_key as (partition by {{ key }} order by change_number)

    )

    select
        {{ key }},
        {%- for attribute in attributes %}
        {{ attribute }},
        {%- endfor %}
        is_deleted,
        changed_at,
        case
            when row_number() over changes_of_key = 1 then {{ beginning_of_time() }}
            else changed_at
        end as valid_from,
        lead(changed_at, 1, {{ end_of_time() }}) over changes_of_key as valid_to,
        lead(change_number) over changes_of_key is null as is_current
    from changes_compared
    where is_a_change
    window changes_of_key as (partition by {{ key }} order by change_number)
{%- endmacro %}
