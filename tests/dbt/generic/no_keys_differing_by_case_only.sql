{% test no_keys_differing_by_case_only(model, column_name) %}

    {{ config(fail_calc='coalesce(sum(pair_count), 0)') }}

    select
        lower({{ column_name }}) as {{ column_name }},
        count(distinct {{ column_name }}) * (count(distinct {{ column_name }}) - 1) / 2 as pair_count
    from {{ model }}
    group by lower({{ column_name }})
    having count(distinct {{ column_name }}) > 1

{% endtest %}
