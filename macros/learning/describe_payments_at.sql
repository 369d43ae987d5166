{#
    The features of payments: the payment itself, and what was known before it of its card, payer, device and terminal.
    A model that decides at the payment has the same.
#}
{% macro describe_payments_at(spine, columns, countries, travel_speeds, fold_by=none) -%}
    {%- set counts = [
        'card__payment_count_10m', 'card__payment_count_1d', 'card__payment_count_30d', 'card__payment_total',
        'device__card_count', 'device__customer_count', 'device_card__payment_total',
        'terminal__payment_count_1d', 'terminal__payment_count_7d', 'terminal__payment_count_30d',
        'terminal_fraud__report_count_7d', 'terminal_fraud__report_count_30d',
    ] -%}
    {%- set numbers = [
        'card_currency__amount_sum_10m', 'card_currency__amount_sum_1d', 'card_currency__amount_sum_30d',
        'card_currency__amount_avg',
    ] -%}
    with payments_featured as (

        {{ training_set(spine, key=['transaction_id'], time='transacted_at', features=[
            'fct_payments.card_currency__*',
            'fct_payments.card__*',
            'fct_payments.device__*',
            'fct_payments.device_card__*',
            'fct_payments.terminal__*',
            'fct_chargebacks.terminal_fraud__*',
        ]) | indent(8) }}

    ),

    payments_located as (

        select
            transaction_id,
            payment_country as country,
            card__last_country as previous_country,
            card__last_located_at as previous_at,
            transacted_at
        from payments_featured

    ),

    travels as (

        {{ class_card_travels('payments_located', countries, travel_speeds) | indent(8) }}

    )

    select
        {%- for column in columns %}
        payments.{{ column }},
        {%- endfor %}
        {%- if fold_by %}
        {{ assign_fold('payments.' ~ fold_by, 5) }} as fold,
        {%- endif %}
        payments.payment_country,
        travels.travel_class,
        {%- for feature in counts %}
        cast(payments.{{ feature }} as integer) as {{ feature }},
        {%- endfor %}
        payments.payment_amount,
        payments.payment_amount
        / nullif(payments.card_currency__amount_avg, 0) as card_amount_ratio,
        {%- for feature in numbers %}
        cast(payments.{{ feature }} as double) as {{ feature }},
        {%- endfor %}
        cast(payments.terminal_fraud__report_count_30d as double)
        / nullif(payments.terminal__payment_count_30d, 0) as terminal_fraud_share_30d,
        travels.travel_km_per_hour,
        cast(extract(hour from payments.transacted_at) as integer) as payment_hour,
        {{ extract_iso_day_of_week('payments.transacted_at') }} >= 6 as is_on_weekend,
        payments.card_id is not null
        and payments.device_id is not null
        and payments.device_card__payment_total = 0 as is_new_device,
        payments.payment_country <> {{ unknown_code() }}
        and coalesce(payments.card__last_country <> payments.payment_country, false)
            as has_country_changed
    from payments_featured as payments
    left join travels on payments.transaction_id = travels.transaction_id
{%- endmacro %}
