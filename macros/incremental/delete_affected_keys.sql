{% macro delete_affected_keys(key, inputs, dimensions=[], at=none, touches=none) -%}
    {%- set incremental_state = get_incremental_state() -%}
    {%- set affected = this.identifier ~ '__affected' -%}
    {%- if not is_incremental() -%}
    delete from {{ incremental_state }} where model = '{{ this.identifier }}'
    {%- elif not flags.EMPTY -%}
    create or replace temporary table {{ affected }} as
    with noted as (

        select input, batch, row_count, load_id
        from {{ incremental_state }}
        where model = '{{ this.identifier }}' and definition = '{{ get_definition() }}'

    ),

    rewritten as (

        select
            (select count(*) from noted) <> {{ inputs | length }}
            {%- for input in inputs %}
            {%- set arrived = get_contract(input).relation %}
            {%- set noted_input = "from noted where input = '" ~ input ~ "'" %}
            or (
                select count(*) from {{ arrived }}
                where _batch <= (select batch {{ noted_input }})
            ) <> (select row_count {{ noted_input }})
            or (
                select max(_load_id) from {{ arrived }}
                where _batch = (select batch {{ noted_input }})
            ) is distinct from (select load_id {{ noted_input }})
            {%- endfor %} as is_rewritten

    )

    {%- if dimensions %},

    given_another_version as (

        select fact.{{ key }}
        from {{ this }} as fact
        {%- for dimension in dimensions %}
        {%- set entity = dimension | replace('dim_', '', 1) %}
        left join {{ ref(dimension) }} as {{ dimension }}
            on {{ as_of(dimension, 'fact.' ~ entity ~ '_id', 'fact.' ~ at) }}
        {%- endfor %}
        where
            {%- for dimension in dimensions %}
            {%- set dimension_key = dimension | replace('dim_', '', 1) ~ '_key' %}
            {{ 'or ' if not loop.first }}fact.{{ dimension_key }}
            <> coalesce({{ dimension }}.{{ dimension_key }}, {{ unknown_key() }})
            {%- endfor %}

    )
    {%- endif %}

    {% for input in inputs -%}
    {%- for expression in touches or [key] -%}
    select {{ expression }} as {{ key }} from {{ get_contract(input).relation }}
    where
        _batch > (select batch from noted where input = '{{ input }}')
        or (select is_rewritten from rewritten)

    union

    {% endfor -%}
    {%- endfor -%}
    select {{ key }} from {{ this }}
    where (select is_rewritten from rewritten)

    {%- if dimensions and not touches %}

    union

    select {{ key }} from given_another_version
    {%- elif dimensions %}
    {%- for expression in touches %}

    union

    select {{ expression }} as {{ key }} from {{ this }}
    where {{ key }} in (select {{ key }} from given_another_version)
    {%- endfor %}
    {%- endif %};

    delete from {{ this }} where {{ key }} in (select {{ key }} from {{ affected }})
    {%- else -%}
    create or replace temporary table {{ affected }} as
    select {{ key }} from {{ this }} where false
    {%- endif -%}
{%- endmacro %}
