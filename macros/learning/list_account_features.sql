{# Columns of revolving_credit_histories as a model of defaults reads them. Amounts are shares of the limit. #}
{% macro list_account_features(months) -%}
    {%- set columns = [months ~ '.arrears_bucket', months ~ '.utilisation_pct'] -%}
    {%- for column in ['minimum_due', 'paid_in_month', 'overdue'] -%}
        {%- do columns.append(
            '100 * cast(' ~ months ~ '.' ~ column ~ '_amount as double) / nullif(cast('
            ~ months ~ '.limit_amount as double), 0) as ' ~ column ~ '_pct'
        ) -%}
    {%- endfor -%}
    {%- for column in [
        'payment_status', 'worst_payment_status_3_months', 'worst_payment_status_6_months',
        'worst_payment_status_12_months', 'days_past_due', 'missed_statement_count',
        'limit_amount',
    ] -%}
        {%- do columns.append('cast(' ~ months ~ '.' ~ column ~ ' as double) as ' ~ column) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}
