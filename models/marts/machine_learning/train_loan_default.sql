with labels_known as (

    select * from {{ ref('label_loan_default') }}
    where defaults_within_horizon is not null

),

credit_histories as (

    select * from {{ ref('credit_histories') }}

),

train_loan_default as (

    select
        labels_known.loan_id,
        labels_known.defaults_within_horizon,
        {%- for column in list_loan_features('credit_histories') %}
            {{ column }},
        {%- endfor %}
        {{ assign_fold('labels_known.loan_id', 5) }} as fold,
        labels_known.as_of,
        labels_known.label_known_at
    from labels_known
    inner join credit_histories
        on
            labels_known.loan_id = credit_histories.loan_id
            and labels_known.month_end_date = credit_histories.month_end_date

)

select * from train_loan_default
