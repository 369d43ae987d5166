{% macro sum_in_order(number, order_by, condition='true') -%}
    {{ return(adapter.dispatch('sum_in_order')(number, order_by, condition)) }}
{%- endmacro %}

{% macro default__sum_in_order(number, order_by, condition='true') -%}
    sum(cast({{ number }} as double) order by {{ order_by | join(', ') }})
        filter (where {{ condition }})
{%- endmacro %}

{% macro spark__sum_in_order(number, order_by, condition='true') -%}
    aggregate(
        array_sort(collect_list(struct({{ order_by | join(', ') }}, cast({{ number }} as double) as number)) filter (where {{ condition }})),
        cast(0 as double),
        (total, summed) -> total + summed.number
    )
{%- endmacro %}
