{# Columns of subscription_months as a model of churn reads them. #}
{% macro list_subscription_features(months) -%}
    {%- set columns = [] -%}
    {%- for column in ['plan', 'status', 'payment_method'] -%}
        {%- do columns.append(months ~ '.' ~ column) -%}
    {%- endfor -%}
    {%- for column in [
        'tenure_months', 'contract_months', 'billing_interval_months', 'monthly_amount', 'charged_in_month_amount',
        'total_charged_amount',
    ] -%}
        {%- do columns.append('cast(' ~ months ~ '.' ~ column ~ ' as double) as ' ~ column) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}
