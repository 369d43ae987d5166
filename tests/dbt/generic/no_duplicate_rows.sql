{% test no_duplicate_rows(model, columns) %}

    {{ config(fail_calc='coalesce(sum(surplus_row_count), 0)') }}

    select
        {{ columns | join(', ') }},
        count(*) - 1 as surplus_row_count
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1

{% endtest %}
