{# Columns of credit_histories as a model of defaults reads them. Amounts are shares of the loan, so they compare. #}
{% macro list_loan_features(months) -%}
    {%- set columns = [] -%}
    {%- for column in [
        'outstanding_principal', 'due_in_month', 'paid_in_month', 'due_to_date', 'paid_to_date', 'overdue',
    ] -%}
        {%- do columns.append(
            '100 * cast(' ~ months ~ '.' ~ column ~ '_amount as double) / nullif(cast('
            ~ months ~ '.principal_amount as double), 0) as ' ~ column ~ '_pct'
        ) -%}
    {%- endfor -%}
    {%- for column in [
        'instalment_count', 'settled_instalment_count', 'missed_instalment_count', 'days_past_due',
    ] -%}
        {%- do columns.append('cast(' ~ months ~ '.' ~ column ~ ' as integer) as ' ~ column) -%}
    {%- endfor -%}
    {%- for column in ['arrears_bucket', 'worst_bucket_3_months', 'worst_bucket_6_months', 'worst_bucket_12_months'] -%}
        {%- do columns.append(months ~ '.' ~ column) -%}
    {%- endfor -%}
    {%- for column in ['months_since_worst', 'principal_amount'] -%}
        {%- do columns.append('cast(' ~ months ~ '.' ~ column ~ ' as double) as ' ~ column) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}
