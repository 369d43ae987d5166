{#
    The features of products: what sold before, and what is known in advance of the days to come. Weeks are compared
    with each other, since demand has a weekly rhythm.
#}
{% macro describe_products_at(spine, columns, fold_by=none) -%}
    select
        {%- for column in columns %}
        {{ column }},
        {%- endfor %}
        {%- if fold_by %}
        {{ assign_fold(fold_by, 5) }} as fold,
        {%- endif %}
        {%- for feature in [
            'product__units_sum_1d', 'product__units_sum_7d', 'product__units_sum_28d', 'product__units_sum_91d',
        ] %}
        cast({{ feature }} as double) as {{ feature }},
        {%- endfor %}
        cast(product__units_sum_7d as double)
        / nullif(cast(product__units_sum_28d as double) / 4, 0) as product_trend_28d,
        cast(product__line_count_28d as integer) as product__line_count_28d,
        {{ hours_between('product__last_sold_at', 'as_of') }} / 24
            as product_days_since_last_sale,
        cast(product__list_price as double) as product__list_price,
        product__category,
        cast(extract(month from as_of_date) as integer) as as_of_month,
        {{ extract_iso_day_of_week('as_of_date') }} as as_of_weekday,
        horizon_holiday_count
    from (

        {{ training_set(spine, key=columns, time='as_of', features=[
            'int_lines_sold_listed.product__units_sum_*',
            'int_lines_sold_listed.product__line_count_28d',
            'int_lines_sold_listed.product__last_sold_at',
            'dim_product_as_known.product__category', 'dim_product_as_known.product__list_price',
        ]) | indent(8) }}

    ) as features
{%- endmacro %}
