{# A change that another one had overtaken when it became known was never the present state. #}
{% macro keep_known_changes(history, key) -%}
    with changes_followed as (

        select
            *,
            min(changed_at) over (
                partition by {{ key }} order by change_number
                rows between 1 following and unbounded following
            ) as overtaken_at
        from {{ history }}

    )

    select * from changes_followed
    where changed_at is null or overtaken_at is null or changed_at <= overtaken_at
{%- endmacro %}
