-- Prescriptions by diagnosis: how many, of how many patients, how many of them over 89, and whether
-- so few that the diagnosis alone would name them. No diagnosis: the prescriber left it out.
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
        and not prescriptions.has_strange_customer

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
