{# The features of a customer and a product that may be bought next. #}
{% macro describe_candidates_at(spine, columns, fold_by=none) -%}
    select
        {%- for column in columns %}
        {{ column }},
        {%- endfor %}
        {%- if fold_by %}
        {{ assign_fold(fold_by, 5) }} as fold,
        {%- endif %}
        {%- for feature in [
            'customer_product__purchase_count_365d', 'product__line_count_28d', 'product__line_total',
            'customer__order_count_30d', 'customer__order_count_90d',
        ] %}
        cast({{ feature }} as integer) as {{ feature }},
        {%- endfor %}
        cast(product__units_sum_7d as double) as product__units_sum_7d,
        {{ hours_between('customer_product__last_bought_at', 'as_of') }} / 24
            as days_since_last_purchase,
        {{ hours_between('customer__last_ordered_at', 'as_of') }} / 24
            as customer_days_since_last_order,
        product__category
    from (

        {{ training_set(spine, key=columns, time='as_of', features=[
            'int_lines_sold_listed.customer_product__*',
            'int_lines_sold_listed.product__line_count_28d',
            'int_lines_sold_listed.product__line_total',
            'int_lines_sold_listed.product__units_sum_7d',
            'int_order_events_listed.customer__order_count_30d',
            'int_order_events_listed.customer__order_count_90d',
            'int_order_events_listed.customer__last_ordered_at',
            'dim_product_as_known.product__category',
        ]) | indent(8) }}

    ) as features
{%- endmacro %}
