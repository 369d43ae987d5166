with prescriptions_generalised as (

    select * from {{ ref('int_prescriptions_generalised') }}

),

outcomes_named as (

    select
        case
            when patient_pseudonym is null then 'withheld, no patient known'
            when is_withheld then 'withheld, too few alike'
            when is_generalised then 'generalised'
            else 'as it was'
        end as outcome
    from prescriptions_generalised

),

prescriptions_withheld as (

    select
        outcome,
        count(*) as prescription_count,
        cast(100.0 * count(*) / sum(count(*)) over () as double) as share_pct
    from outcomes_named
    group by outcome

)

select * from prescriptions_withheld
