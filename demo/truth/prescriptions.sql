-- Prescriptions by diagnosis, with the number of patients and of patients over 89.
-- diagnosis_code: null if the prescriber left it out.
-- is_rare: fewer than 11 patients have the diagnosis, so it may identify them.
with shown as (

    select
        prescriptions.customer_number,
        if(prescriptions.has_no_diagnosis, null, prescriptions.diagnosis_code) as diagnosis_code,
        date '1931-01-01' + cast(draw(customers.contact_bits, 3, 27400) as integer) as birth_date,
        draw(customers.gap_bits, 2, 100) < 6 as has_no_birth_date
    from prescriptions
    inner join customers on prescriptions.customer_number = customers.customer_number
    where
        is_shown(prescriptions.shown_day_number)
        and not prescriptions.has_no_time
        and not prescriptions.has_no_customer
        and not prescriptions.has_walk_in

)

select
    diagnosis_code,
    count(*) as prescription_count,
    count(distinct customer_number) as patient_count,
    count(distinct customer_number) filter (
        year(moment(getvariable('until_day'), 0)) - year(birth_date) > 89 and not has_no_birth_date
    ) as patient_over_89_count,
    count(distinct customer_number) < 11 as is_rare
from shown
group by diagnosis_code
order by prescription_count desc, diagnosis_code asc;
