{# A row that names the quantity comes before one for *; then the unit counts, and then its model. #}
{% macro choose_rules(subjects, rules, columns) -%}
    {%- set is_general -%}
        case when {{ rules }}.quantity = '*' then 1 else 0 end,
        case when {{ rules }}.unit_id = '*' then 1 else 0 end,
        case when {{ rules }}.model = '*' then 1 else 0 end
    {%- endset -%}
    with rules_ranked as (

        select
            {{ subjects }}.*,
            {%- for column in columns %}
            {{ rules }}.{{ column }},
            {%- endfor %}
            row_number() over (
                partition by
                    {{ subjects }}.unit_id, {{ subjects }}.unit_key, {{ subjects }}.quantity
                order by {{ is_general | indent(16) }}
            ) as rule_rank
        from {{ subjects }}
        left join {{ rules }}
            on
                {{ rules }}.quantity in ('*', {{ subjects }}.quantity)
                and {{ rules }}.unit_id in ('*', {{ subjects }}.unit_id)
                and {{ rules }}.model in ('*', {{ subjects }}.model)

    )

    select * from rules_ranked
    where rule_rank = 1
{%- endmacro %}
