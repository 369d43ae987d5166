{% macro read_related_records(table) -%}
    {%- set relations = list_relations() | selectattr('table', 'equalto', table) | list -%}
    {%- set record = var('relation_records').get(table, {}) -%}
    {%- set column, _, other_currency = record.get('currency', '').partition('.') -%}
    with records as (

        select
            cast({{ record.amount or 'null' }} as decimal(38, 4)) as amount
            {%- if not other_currency %},
            coalesce({{ column or 'null' }}, {{ no_currency() }}) as currency
            {%- endif %}
            {%- for name in relations | map(attribute='column') | unique %},
            {{ name }}
            {%- endfor %}
        from {{ read_all_records(table) }}

    )

    {%- if not other_currency %}

    select * from records
    {%- else -%}
    {%- set named = relations | selectattr('column', 'equalto', column) | first -%}
    {#- A record that names none has the currency of all others, if they have but one. #},

    named as (

        select
            {{ named.field }},
            {{ other_currency }} as currency
        from {{ read_all_records(named.counterpart) }}

    )

    select
        records.*,
        coalesce(
            named.currency,
            case
                when min(named.currency) over () = max(named.currency) over ()
                    then min(named.currency) over ()
            end,
            {{ no_currency() }}
        ) as currency
    from records
    left join named on records.{{ column }} = named.{{ named.field }}
    {%- endif %}
{%- endmacro %}

{% macro read_all_records(table) -%}
    {%- set fact = var('relation_records').get(table, {}).get('fact') -%}
    {{ ref(fact) if fact else read_tested_rows(none, table) }}
{%- endmacro %}
