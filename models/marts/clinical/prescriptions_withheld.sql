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
        end as outcome,
        coalesce(patient_pseudonym, prescription_pseudonym) as person_pseudonym,
        is_withheld
    from prescriptions_generalised

),

outcomes_counted as (

    select
        outcome,
        is_withheld,
        count(*) as prescription_count,
        count(distinct person_pseudonym) as person_count
    from outcomes_named
    group by outcome, is_withheld

),

-- The published outcomes add up to the rows of prescriptions_deidentified, so the count of one
-- would reveal the count of the other.
small_counts_left_out as (

    select
        outcome,
        case
            when
                min(person_count) over (
                    partition by case when is_withheld then outcome end
                ) >= {{ var('anonymity_k') }}
                then prescription_count
        end as prescription_count
    from outcomes_counted

),

prescriptions_withheld as (

    select
        outcome,
        prescription_count,
        cast(100.0 * prescription_count / sum(prescription_count) over () as double) as share_pct
    from small_counts_left_out

)

select * from prescriptions_withheld
