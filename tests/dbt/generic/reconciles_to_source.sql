{% test reconciles_to_source(
    model, column, by, source_column, source=none, source_rows_of=none, source_where='true'
) %}

    {%- set by = [by] if by is string else by %}

    with summed as (

        select
            {{ by | join(', ') }},
            sum({{ column }}) as amount
        from {{ model }}
        group by {{ by | join(', ') }}

    ),

    source_summed as (

        select
            {{ by | join(', ') }},
            sum({{ source_column }}) as amount
        from {{ read_tested_rows(source, source_rows_of) }}
        where {{ source_where }}
        group by {{ by | join(', ') }}

    )

    select
        {%- for grain in by %}
        coalesce(summed.{{ grain }}, source_summed.{{ grain }}) as {{ grain }},
        {%- endfor %}
        summed.amount,
        source_summed.amount as source_amount
    from summed
    full outer join source_summed
        on
            {%- for grain in by %}
            {{ 'and ' if not loop.first }}summed.{{ grain }} = source_summed.{{ grain }}
            {%- endfor %}
    where summed.amount is distinct from source_summed.amount

{% endtest %}
