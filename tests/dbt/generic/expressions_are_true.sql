{# One scan for all expressions; it keeps only the rows that break one. #}
{% test expressions_are_true(model, expressions) %}

    {%- set key = get_key() | join(', ') %}

    with rows_that_break_one as (

        select
            {{ key }},
            {%- for name, expression in expressions.items() %}
            {{ expression }} as {{ name }}{{ ',' if not loop.last }}
            {%- endfor %}
        from {{ model }}
        where
            {%- for expression in expressions.values() %}
            {{ 'or ' if not loop.first }}not ({{ expression }})
            {%- endfor %}

    )

    {%- for name in expressions %}
    {{ 'union all' if not loop.first }}
    select
        {{ key }},
        '{{ name }}' as broken_rule
    from rows_that_break_one
    where not {{ name }}
    {%- endfor %}

{% endtest %}
