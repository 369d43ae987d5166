with labels_known as (

    select * from {{ ref('label_unit_failure') }}
    where is_failing is not null

),

unit_days as (

    select * from {{ ref('int_unit_days_described') }}

),

train_unit_failure as (

    select
        labels_known.unit_id,
        labels_known.is_failing,
        {%- for feature in list_unit_features() %}
            unit_days.{{ feature }},
        {%- endfor %}
        {{ assign_fold('labels_known.unit_id', 5) }} as fold,
        labels_known.hour_at,
        labels_known.as_of,
        labels_known.label_known_at
    from labels_known
    inner join unit_days
        on
            labels_known.unit_id = unit_days.unit_id
            and labels_known.hour_at = unit_days.hour_at

)

select * from train_unit_failure
