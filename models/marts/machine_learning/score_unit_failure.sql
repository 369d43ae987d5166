with unit_days as (

    select * from {{ ref('int_unit_days_described') }}

),

days_ranked as (

    select
        *,
        row_number() over (partition by unit_id order by hour_at desc) as days_ago
    from unit_days

),

score_unit_failure as (

    select
        unit_id,
        {%- for feature in list_unit_features() %}
            {{ feature }},
        {%- endfor %}
        hour_at,
        as_of
    from days_ranked
    where days_ago = 1 and not is_known_in_repair

)

select * from score_unit_failure
