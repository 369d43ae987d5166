{% macro note_built_from(inputs, through=none) -%}
    {%- if not flags.EMPTY -%}
    {%- set built_from = get_built_from() -%}
    delete from {{ built_from }} where model = '{{ this.identifier }}';

    insert into {{ built_from }}
    {%- if through is not none %}
    select
        '{{ this.identifier }}' as model,
        input,
        batch,
        row_count,
        load_id,
        '{{ get_definition() }}' as definition,
        cast(current_timestamp as timestamp) as built_at
    from {{ built_from }}
    where model = '{{ through }}'
    {%- else %}
    {%- for input in inputs %}
    {%- set arrived = get_contract(input).relation %}
    {{ 'union all' if not loop.first }}
    select
        '{{ this.identifier }}' as model,
        '{{ input }}' as input,
        coalesce(max(_batch), 0) as batch,
        count(*) as row_count,
        max(
            case when _batch = (select max(_batch) from {{ arrived }}) then _load_id end
        ) as load_id,
        '{{ get_definition() }}' as definition,
        cast(current_timestamp as timestamp) as built_at
    from {{ arrived }}
    {%- endfor %}
    {%- endif -%}
    {%- endif -%}
{%- endmacro %}
