{% test no_keys_differing_by_case_only(model, column_name) %}

    {{ config(fail_calc='coalesce(sum(pair_count), 0)') }}

    with spellings_counted as (

        select
            lower({{ column_name }}) as {{ column_name }},
            count(distinct {{ column_name }}) as spelling_count
        from {{ model }}
        group by lower({{ column_name }})

    )

    select
        {{ column_name }},
        spelling_count * (spelling_count - 1) / 2 as pair_count
    from spellings_counted
    where spelling_count > 1

{% endtest %}
