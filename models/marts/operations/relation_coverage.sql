with
{%- for table in list_relations() | map(attribute='table') | unique %}
{{ table | replace('.', '__') }} as (

    {{ read_related_records(table) }}

),
{% endfor %}

orphans_counted as (

    {% for relation in list_relations() -%}
    {{ count_orphans(**relation) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

relation_coverage as (

    select
        table_name,
        column_name,
        counterpart_table_name,
        counterpart_column_name,
        missing_from,
        currency,
        amount,
        case when orphan_count = 0 and amount is not null then 0 else orphan_amount end
            as orphan_amount,
        record_count,
        orphan_count,
        orphan_count * 1e0 / record_count as orphan_share,
        is_needed
        and sum(orphan_count) over (
            partition by table_name, column_name, counterpart_table_name, counterpart_column_name
        ) > 0 as is_gap
    from orphans_counted

)

select * from relation_coverage
