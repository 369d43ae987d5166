{% macro roll_card_payments(charges) -%}
    select
        transaction_id,
        {{ roll_by_time('sum', 'amount', '10m', 'transacted_at', ['card_id', 'currency']) }}
            as card_amount_10_minutes,
        {{ roll_by_time('sum', 'amount', '1d', 'transacted_at', ['card_id', 'currency']) }}
            as card_amount_1_day,
        {{ roll_by_time('sum', 'amount', '30d', 'transacted_at', ['card_id', 'currency']) }}
            as card_amount_30_days,
        {{ roll_past('avg', 'amount', 'transacted_at', ['card_id', 'currency']) }}
            as card_average_amount,
        {{ roll_by_time('count', 'transaction_id', '10m', 'transacted_at', 'card_id') }}
            as card_payment_count_10_minutes,
        {{ roll_by_time('count', 'transaction_id', '1d', 'transacted_at', 'card_id') }}
            as card_payment_count_1_day,
        {{ roll_by_time('count', 'transaction_id', '30d', 'transacted_at', 'card_id') }}
            as card_payment_count_30_days,
        {{ roll_past('count', 'transaction_id', 'transacted_at', 'card_id') }}
            as card_payment_count
    from {{ charges }}
    where card_id is not null
{%- endmacro %}
