{#
    The features of payments: the payment itself, and what was known before it of its card, payer, device and terminal.
    A model that decides at the payment has the same.
#}
{% macro describe_payments_at(spine, columns) -%}
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
    select
        {%- for column in columns %}
        {{ column }},
        {%- endfor %}
        payment_country,
        {%- for feature in counts %}
        cast({{ feature }} as integer) as {{ feature }},
        {%- endfor %}
        payment_amount,
        payment_amount / nullif(card_currency__amount_avg, 0) as card_amount_ratio,
        {%- for feature in numbers %}
        cast({{ feature }} as double) as {{ feature }},
        {%- endfor %}
        cast(terminal_fraud__report_count_30d as double) / nullif(terminal__payment_count_30d, 0)
            as terminal_fraud_share_30d,
        cast(extract(hour from transacted_at) as integer) as payment_hour,
        {{ extract_iso_day_of_week('transacted_at') }} >= 6 as is_on_weekend,
        device_id is not null and device_card__payment_total = 0 as is_new_device,
        coalesce(card__last_country <> payment_country, false) as has_country_changed
    from (

        {{ training_set(spine, key=['transaction_id'], time='transacted_at', features=[
            'fct_payments.card_currency__*',
            'fct_payments.card__*',
            'fct_payments.device__*',
            'fct_payments.device_card__*',
            'fct_payments.terminal__*',
            'fct_chargebacks.terminal_fraud__*',
        ]) | indent(8) }}

    ) as features
{%- endmacro %}
