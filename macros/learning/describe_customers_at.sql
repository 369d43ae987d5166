{#
    The features of customers that all models of customers share, each at the time of its row. Times become durations
    up to the row, since a time says nothing about rows of another year.
#}
{% macro describe_customers_at(spine, columns, counts=[], numbers=[], times={}, features=[], fold_by=none) -%}
    {%- set all_counts = [
        'customer__order_count_30d', 'customer__order_count_90d', 'customer__order_count_365d',
        'customer__cancellation_count_90d', 'customer__return_count_365d', 'customer_sessions__session_count_30d',
        'customer_sessions__session_count_90d',
    ] + counts -%}
    {%- set all_numbers = [
        'customer__completion_hours_max_90d', 'customer__price_change_pct_max_90d', 'customer__rating_min_90d',
    ] + numbers -%}
    {%- set all_times = {
        'customer__first_ordered_at': 'customer_days_since_first_order',
        'customer__last_ordered_at': 'customer_days_since_last_order',
        'customer_sessions__last_ended_at': 'customer_days_since_last_visit',
        'customer__registered_at': 'customer_days_since_registration',
    } -%}
    {%- do all_times.update(times) -%}
    select
        {%- for column in columns %}
        {{ column }},
        {%- endfor %}
        {%- if fold_by %}
        {{ assign_fold(fold_by, 5) }} as fold,
        {%- endif %}
        customer__country,
        {%- for feature in all_counts %}
        cast({{ feature }} as integer) as {{ feature }},
        {%- endfor %}
        {%- for feature in all_numbers %}
        cast({{ feature }} as double) as {{ feature }},
        {%- endfor %}
        {%- for feature, name in all_times.items() %}
        {{ hours_between(feature, 'as_of') }} / 24 as {{ name }},
        {%- endfor %}
        coalesce(customer__has_marketing_consent, false) as customer__has_marketing_consent
    from (

        {{ training_set(spine, key=columns, time='as_of', features=[
            'int_order_events_listed.customer__*',
            'int_lines_sold_listed.customer__*',
            'fct_sessions.customer_sessions__session_count_30d',
            'fct_sessions.customer_sessions__session_count_90d',
            'fct_sessions.customer_sessions__last_ended_at',
            'fct_reviews.customer__*',
            'dim_customer_as_known.customer__country',
            'dim_customer_as_known.customer__has_marketing_consent',
            'dim_customer_as_known.customer__registered_at',
        ] + features) | indent(8) }}

    ) as features
{%- endmacro %}
