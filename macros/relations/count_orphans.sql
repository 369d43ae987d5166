{% macro count_orphans(table, column, counterpart, field, missing_from, is_needed, with_deleted) -%}
    {%- set counterparts = counterpart | replace('.', '__') -%}
    {%- if with_deleted -%}
        {%- set counterparts = get_contract(counterpart).relation -%}
    {%- endif -%}
    select
        '{{ table }}' as table_name,
        '{{ column }}' as column_name,
        '{{ counterpart }}' as counterpart_table_name,
        '{{ field }}' as counterpart_column_name,
        cast({{ "'" ~ missing_from ~ "'" if missing_from else 'null' }} as varchar) as missing_from,
        records.currency,
        count(*) as record_count,
        count(case when counterparts.{{ field }} is null then 1 end) as orphan_count,
        cast(sum(records.amount) as decimal(38, 4)) as amount,
        cast(
            sum(case when counterparts.{{ field }} is null then records.amount end)
            as decimal(38, 4)
        ) as orphan_amount,
        {{ is_needed | lower }}
        {%- if is_needed and not missing_from %}
        and exists (select 1 from {{ counterparts }})
        {%- endif %} as is_needed
    from {{ table | replace('.', '__') }} as records
    left join (
        select distinct {{ field }} from {{ counterparts }}
    ) as counterparts
        on records.{{ column }} = counterparts.{{ field }}
    where records.{{ column }} is not null
    group by records.currency
{%- endmacro %}
