{% test relationships(model, column_name, field, to=none, to_rows_of=none, rows_of=none) %}

    {%- set key = get_key() %}
    {%- set columns = key if column_name in key else key + [column_name] %}

    select {{ columns | join(', ') }}
    from {{ read_tested_rows(model, rows_of) }}
    where
        {{ column_name }} is not null
        and {{ column_name }} not in (
            select {{ field }} from {{ read_tested_rows(to, to_rows_of) }} where {{ field }} is not null
        )

{% endtest %}
