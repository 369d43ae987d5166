{% test expression_is_true(model, expression) %}

    select {{ get_key() | join(', ') }}
    from {{ model }}
    where not ({{ expression }})

{% endtest %}
