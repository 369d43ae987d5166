{# Details of a patient, from all to the fewest: the first set that enough patients share counts. #}
{%- set steps = [
    ['country', 'postcode_area', 'age_from_years', 'gender'],
    ['country', 'age_from_years', 'gender'],
    ['country', 'gender'],
    ['country'],
] -%}
{{ config(materialized='view') }}

with prescriptions as (

    select * from {{ ref('fct_prescriptions') }}

),

latest_prescription as (

    -- A mistyped date in the future must not make patients older.
    select max(least(prescribed_date, {{ business_date('_loaded_at') }})) as as_of_date
    from prescriptions

),

patients as (

    select distinct
        prescriptions.patient_pseudonym,
        prescriptions.country,
        prescriptions.postcode_area,
        prescriptions.gender,
        cast(extract(year from latest_prescription.as_of_date) as integer)
        - prescriptions.birth_year as age_years
    from prescriptions
    cross join latest_prescription
    where prescriptions.patient_pseudonym is not null

),

patients_in_age_bands as (

    select
        patient_pseudonym,
        country,
        postcode_area,
        gender,
        {{ mask_age_to_band('age_years') }} as age_from_years,
        cast(null as integer) as generalisation_step
    from patients

),

{% for known in steps -%}
    patients_at_step_{{ loop.index0 }} as (

        select
            patient_pseudonym,
            country,
            postcode_area,
            gender,
            age_from_years,
            case
                when
                    generalisation_step is null
                    and count(*) over (
                        partition by {{ known | join(', ') }}, generalisation_step is null
                    ) >= {{ var('anonymity_k') }}
                    then {{ loop.index0 }}
                else generalisation_step
            end as generalisation_step
        from
            {{ 'patients_in_age_bands' if loop.first else 'patients_at_step_' ~ (loop.index0 - 1) }}

    ),

{% endfor -%}

prescriptions_of_patients as (

    select
        prescriptions.prescription_pseudonym,
        prescriptions.patient_pseudonym,
        patients.country,
        case when patients.generalisation_step < 1 then patients.postcode_area end as postcode_area,
        case when patients.generalisation_step < 3 then patients.gender end as gender,
        prescriptions.diagnosis_code,
        prescriptions.drug_code,
        case when patients.generalisation_step < 2 then patients.age_from_years end
            as age_from_years,
        patients.generalisation_step,
        prescriptions.prescribed_date
    from prescriptions
    left join patients_at_step_{{ (steps | length) - 1 }} as patients
        on prescriptions.patient_pseudonym = patients.patient_pseudonym

),

diagnoses_counted as (

    select
        diagnosis_code,
        count(distinct patient_pseudonym) as patient_count
    from prescriptions_of_patients
    where generalisation_step is not null
    group by diagnosis_code

),

rare_diagnoses_categorised as (

    select
        prescriptions_of_patients.prescription_pseudonym,
        prescriptions_of_patients.patient_pseudonym,
        case
            when diagnoses_counted.patient_count >= {{ var('anonymity_k') }}
                then prescriptions_of_patients.diagnosis_code
            else {{ dbt.split_part('prescriptions_of_patients.diagnosis_code', "'.'", 1) }}
        end as diagnosis_code,
        prescriptions_of_patients.drug_code
    from prescriptions_of_patients
    left join diagnoses_counted
        on prescriptions_of_patients.diagnosis_code = diagnoses_counted.diagnosis_code
    where prescriptions_of_patients.generalisation_step is not null

),

rare_diagnoses_left_out as (

    {{ suppress_rare_values(
        'rare_diagnoses_categorised', 'diagnosis_code',
        person='patient_pseudonym', minimum=var('anonymity_k')
    ) }}

),

rare_drugs_left_out as (

    {{ suppress_rare_values(
        'rare_diagnoses_left_out', 'drug_code',
        person='patient_pseudonym', minimum=var('anonymity_k')
    ) }}

),

int_prescriptions_generalised as (

    select
        prescriptions_of_patients.prescription_pseudonym,
        prescriptions_of_patients.patient_pseudonym,
        prescriptions_of_patients.country,
        prescriptions_of_patients.postcode_area,
        prescriptions_of_patients.gender,
        rare_drugs_left_out.diagnosis_code_kept as diagnosis_code,
        rare_drugs_left_out.drug_code_kept as drug_code,
        prescriptions_of_patients.age_from_years,
        prescriptions_of_patients.generalisation_step,
        prescriptions_of_patients.generalisation_step is not null
        and (
            prescriptions_of_patients.generalisation_step > 0
            or rare_drugs_left_out.diagnosis_code_kept
            is distinct from prescriptions_of_patients.diagnosis_code
            or rare_drugs_left_out.drug_code_kept
            is distinct from prescriptions_of_patients.drug_code
        ) as is_generalised,
        prescriptions_of_patients.generalisation_step is null as is_withheld,
        prescriptions_of_patients.prescribed_date
    from prescriptions_of_patients
    left join rare_drugs_left_out
        on
            prescriptions_of_patients.prescription_pseudonym
            = rare_drugs_left_out.prescription_pseudonym

)

select * from int_prescriptions_generalised
