with labels_known as (

    select * from {{ ref('label_account_default') }}
    where defaults_within_horizon is not null

),

revolving_credit_histories as (

    select * from {{ ref('revolving_credit_histories') }}

),

train_account_default as (

    select
        labels_known.account_id,
        labels_known.customer_id,
        labels_known.defaults_within_horizon,
        {%- for column in list_account_features('revolving_credit_histories') %}
            {{ column }},
        {%- endfor %}
        {{ assign_fold('labels_known.customer_id', 5) }} as fold,
        labels_known.as_of,
        labels_known.label_known_at
    from labels_known
    inner join revolving_credit_histories
        on
            labels_known.account_id = revolving_credit_histories.account_id
            and labels_known.month_end_date = revolving_credit_histories.month_end_date

)

select * from train_account_default
