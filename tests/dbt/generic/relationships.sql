{% test relationships(model, column_name, field, to) %}

    {%- set key = get_key() %}
    {%- set columns = key if column_name in key else key + [column_name] %}

    select {{ columns | join(', ') }}
    from {{ model }}
    where
        {{ column_name }} is not null
        and {{ column_name }} not in (select {{ field }} from {{ to }} where {{ field }} is not null)

{% endtest %}
