{% test reconciles_to_source(
    model, column, by, source_column, source=none, source_rows_of=none, source_where='true'
) %}

    {%- set columns = [column] if column is string else column %}
    {%- set source_columns = [source_column] if source_column is string else source_column %}
    {%- set by = [by] if by is string else by %}
    {%- if columns | length != source_columns | length -%}
        {{ exceptions.raise_compiler_error('each column needs one source_column') }}
    {%- endif %}

    with summed as (

        select
            {{ by | join(', ') }}
            {%- for column in columns %},
            sum({{ column }}) as amount_{{ loop.index }}
            {%- endfor %}
        from {{ model }}
        group by {{ by | join(', ') }}

    ),

    source_summed as (

        select
            {{ by | join(', ') }}
            {%- for column in source_columns %},
            sum({{ column }}) as amount_{{ loop.index }}
            {%- endfor %}
        from (select * from {{ read_tested_rows(source, source_rows_of) }}) as source
        where {{ source_where }}
        group by {{ by | join(', ') }}

    )

    {%- for column in columns %}
    {{ 'union all' if not loop.first }}

    select
        {%- for grain in by %}
        coalesce(summed.{{ grain }}, source_summed.{{ grain }}) as {{ grain }},
        {%- endfor %}
        '{{ column }}' as column_name,
        summed.amount_{{ loop.index }} as amount,
        source_summed.amount_{{ loop.index }} as source_amount
    from summed
    full outer join source_summed
        on
            {%- for grain in by %}
            {{ 'and ' if not loop.first }}summed.{{ grain }} = source_summed.{{ grain }}
            {%- endfor %}
    where summed.amount_{{ loop.index }} is distinct from source_summed.amount_{{ loop.index }}
    {%- endfor %}

{% endtest %}
