-- Conditions, each with its share of the patients in permille. A rare diagnosis identifies its
-- patient. A chronic condition (interval_days > 0) has repeat prescriptions.
create table conditions as

select
    *,
    cast(sum(share_permille) over (order by condition_number) as bigint) - share_permille
        as first_draw,
    cast(sum(share_permille) over (order by condition_number) as bigint) as last_draw
from (
    values
    (0, 'I10', 'C09AA05', '1-0-0', 90, 228),
    (1, 'E11.9', 'A10BA02', '1-0-1', 90, 140),
    (2, 'E03.9', 'H03AA01', '1-0-0', 90, 110),
    (3, 'J06.9', 'R05CB01', '1-1-1', 0, 100),
    (4, 'N39.0', 'J01CA04', '1-0-1', 0, 80),
    (5, 'J45.9', 'R03AC02', 'as needed', 60, 70),
    (6, 'F32.1', 'N06AB06', '1-0-0', 60, 60),
    (7, 'M54.5', 'M01AB05', '0-0-1', 0, 60),
    (8, 'K21.0', 'A02BC01', '1-0-0', 60, 50),
    (9, 'E10.9', 'A10AE04', '0-0-0-14 IU', 30, 40),
    (10, 'G43.9', 'N02CC01', 'as needed', 60, 24),
    (11, 'L20.9', 'D07AC13', 'twice a day', 90, 16),
    (12, 'F90.0', 'N06BA04', '1-1-0', 30, 8),
    (13, 'B20', 'J05AR13', '1-0-0', 30, 5),
    (14, 'G35', 'L03AB07', 'once a week', 30, 4),
    (15, 'E11.4', 'N03AX16', '1-0-1', 60, 2),
    (16, 'E84.0', 'R05CB13', '1-0-0', 30, 1),
    (17, 'E75.2', 'A16AB04', 'every two weeks', 30, 1),
    (18, 'D66', 'B02BD02', 'as needed', 30, 1)
) as made_up (
    condition_number, diagnosis_code, drug_code, dosage, interval_days, share_permille
);

-- 40 % of the customers send in prescriptions. Patients with a chronic condition never stop.
create table patients as

with drawn as (

    select
        customer_number,
        person_number,
        identity_bits,
        contact_bits,
        country,
        registered_day_number,
        bits_of('patient', customer_number) as patient_bits,
        bits_of('treatment', customer_number) as treatment_bits
    from customers

),

patients as (

    select
        drawn.*,
        conditions.diagnosis_code,
        conditions.drug_code,
        conditions.dosage,
        if(conditions.interval_days = 0, 1000, conditions.interval_days) as interval_days,
        greatest(0, drawn.registered_day_number) + draw(drawn.treatment_bits, 0, 90)
            as first_day_number,
        draw(
            drawn.treatment_bits, 1, cast(greatest(4, scale_permille() * 60 // 1000) as bigint)
        ) as prescriber_number
    from drawn
    inner join conditions
        on
            draw(drawn.patient_bits, 1, 1000) >= conditions.first_draw
            and draw(drawn.patient_bits, 1, 1000) < conditions.last_draw
    where draw(drawn.patient_bits, 0, 1000) < 400

)

select * from patients;

-- Every prescription up to the clock's day, including those that no source shows yet. Some are
-- entered days late, and some are corrected once. Nothing else changes.
create table prescriptions as

with repeated as (

    select
        *,
        unnest(range(
            0,
            if(
                first_day_number > getvariable('until_day'), 0,
                1 + (getvariable('until_day') - first_day_number) // interval_days
            )
        )) as repeat_number
    from patients

),

drawn as (

    select
        *,
        bits_of('prescription', customer_number || '/' || repeat_number) as prescription_bits,
        bits_of('note', customer_number || '/' || repeat_number) as note_bits,
        bits_of('entry', customer_number || '/' || repeat_number) as entry_bits
    from repeated

),

-- A patient comes zero to eight days after the due day.
prescribed as (

    select
        *,
        first_day_number + repeat_number * interval_days + draw(prescription_bits, 0, 9)
            as day_number,
        if(draw(entry_bits, 0, 1000) < 30, 1 + draw(entry_bits, 1, 20), null) as corrected_after
    from drawn

),

prescriptions as (

    select
        *,
        draw(entry_bits, 3, 1000) < 2 as has_no_time,
        draw(prescription_bits, 1, 1000) < 20 as has_no_diagnosis,
        draw(prescription_bits, 2, 1000) < 10 as has_no_customer,
        draw(prescription_bits, 2, 1000) between 10 and 14 as has_walk_in,
        day_number + days_late(draw(entry_bits, 2, 1000), 60, 10) as shown_day_number,
        -- At least ten days later, so that a correction never appears before its prescription.
        day_number + 10 + corrected_after as correction_shown_day_number,
        moment(day_number, 28800 + draw(note_bits, 3, 36000)) as prescribed_at
    from prescribed

)

select * from prescriptions;

-- Prescriptions as the clinic's database shows them on the clock's day. The notes contain names of
-- people, as real notes do.
create table clinic_prescriptions as

with shown as (

    select
        *,
        is_shown(correction_shown_day_number) as is_corrected
    from prescriptions
    where
        is_shown(shown_day_number)
        and (is_news(shown_day_number) or is_news(correction_shown_day_number))

),

described as (

    select
        shown.*,
        draw_from(shown.identity_bits, 1, home.given_names) as given_name,
        draw_from(shown.identity_bits, 2, home.family_names) as family_name,
        draw_from(
            bits_of('prescriber', shown.prescriber_number), 0, doctors.family_names
        ) as prescriber_name
    from shown
    inner join countries as home on shown.country = home.country
    inner join countries as doctors on doctors.country = 'DE'

),

clinic_prescriptions as (

    select
        'RX' || lpad(cast(customer_number * 100 + repeat_number as varchar), 9, '0')
            as prescription_id,
        case
            when has_no_customer then null
            when has_walk_in then 'walk-in ' || customer_number
            else customer_id_of(customer_number)
        end as customer_id,
        if(has_no_diagnosis, null, diagnosis_code) as diagnosis_code,
        drug_code,
        if(is_corrected, dosage || ', corrected', dosage) as dosage,
        'Dr. ' || prescriber_name || ', no. ' || (70000001 + 97 * prescriber_number) as prescriber,
        case draw(note_bits, 0, 10)
            when 0 then given_name || ' ' || family_name || ' asked to be called at home'
            when 1 then 'Mail the receipt to patient' || person_number || '@example.org'
            when 2
                then
                    'Insurance no. ' || chr(cast(65 + draw(contact_bits, 2, 26) as integer))
                    || lpad(cast(draw_of_many(contact_bits, 0, 1000000000) as varchar), 9, '0')
            when 3 then 'Spoke to Dr. ' || prescriber_name || '; ' || family_name || ' tolerates it'
            when 4 then 'No interactions known'
            when 5 then ''
        end as notes,
        case
            when not has_no_time then strftime(prescribed_at, '%Y-%m-%d %H:%M:%S')
            when customer_number % 2 = 0 then 'see paper'
        end as prescribed_at,
        is_news(shown_day_number) as is_new,
        if(
            is_corrected,
            moment(day_number + 10 + corrected_after, 36000),
            prescribed_at
        ) as updated_at
    from described

)

select * from clinic_prescriptions;
