{% macro record_incremental_state(inputs, through=none) -%}
    {%- if not flags.EMPTY -%}
    {%- set incremental_state = get_incremental_state() -%}
    delete from {{ incremental_state }} where model = '{{ this.identifier }}';

    insert into {{ incremental_state }}
    {%- if through is not none %}
    select
        '{{ this.identifier }}' as model,
        input,
        batch,
        row_count,
        load_id,
        '{{ get_definition() }}' as definition,
        cast(current_timestamp as timestamp) as built_at
    from {{ incremental_state }}
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
