-- Every customer with all their events, including future ones and ones that no source shows yet.
create table customers as

with registered as (

    select
        customer_number,
        -1 - 1095 * (customers_by(-1) - 1 - customer_number) // customers_by(-1)
            as registered_day_number
    from range(0, customers_by(-1)) as numbers (customer_number)

    union all

    select
        unnest(range(customers_by(day_number - 1), customers_by(day_number))) as customer_number,
        day_number as registered_day_number
    from calendar

),

account_drawn as (

    select
        *,
        bits_of('account', customer_number) as account_bits,
        further_bits_of('account', customer_number) as relation_bits,
        bits_of('life', customer_number) as life_bits,
        further_bits_of('life', customer_number) as hour_bits,
        bits_of('new address', customer_number) as new_address_bits,
        further_bits_of('new address', customer_number) as new_name_bits
    from registered

),

-- Some people register twice: a second account has the person number of an older account.
persons_found as (

    select
        *,
        customer_number > 0 and draw(account_bits, 0, 1000) < 20 as is_second_account,
        if(
            customer_number > 0 and draw(account_bits, 0, 1000) < 20,
            draw_of_many(relation_bits, 0, customer_number),
            customer_number
        ) as person_number
    from account_drawn

),

person_drawn as (

    select
        *,
        bits_of('identity', person_number) as identity_bits,
        bits_of('contact', person_number) as contact_bits,
        further_bits_of('contact', person_number) as gap_bits,
        draw(account_bits, 2, 1000) < 8 as has_bad_email,
        draw(life_bits, 0, 12000) as moving_draw,
        draw(life_bits, 1, 12000) as consent_draw,
        draw(life_bits, 2, 12000) as renaming_draw,
        draw(life_bits, 3, 1000) as lapsing_draw
    from persons_found

),

-- The kinds of change have separate days, 20 days apart in every 60. So a change never appears
-- before an older one, even if that one is late-arriving. Two thirds of the customers with an
-- invalid email address change it later.
timed as (

    select
        *,
        -- Half of the referrals come from every fortieth customer.
        if(
            customer_number > 0 and draw(relation_bits, 3, 100) < 8,
            draw_of_many(account_bits, 0, customer_number)
            // if(draw(account_bits, 3, 2) = 0, 40, 1) * if(draw(account_bits, 3, 2) = 0, 40, 1),
            null
        ) as referrer_number,
        draw_from(identity_bits, 0, getvariable('countries_by_share')) as country,
        if(
            draw(new_address_bits, 0, 1000) < 60,
            draw_from(new_address_bits, 1, getvariable('countries_by_share')),
            draw_from(identity_bits, 0, getvariable('countries_by_share'))
        ) as new_country,
        if(
            moving_draw < 2160,
            registered_day_number + 60 * (1 + moving_draw % 12) + moving_draw // 12 % 10,
            null
        ) as moved_day_number,
        if(
            consent_draw < 3000,
            registered_day_number + 60 * (1 + consent_draw % 12) + consent_draw // 12 % 10 + 20,
            null
        ) as consent_day_number,
        if(
            renaming_draw < if(has_bad_email, 8000, 900),
            registered_day_number + 60 * (1 + renaming_draw % 12) + renaming_draw // 12 % 10 + 40,
            null
        ) as renamed_day_number,
        -- Some lapse for reasons of their own, which no source shows.
        if(lapsing_draw < 120, registered_day_number + 30 + 8 * lapsing_draw, null)
            as leaving_day_number
    from person_drawn

),

first_disappointments as (

    select
        customer_number,
        min(lapsed_day_number) as lapsed_day_number,
        min_by(order_number, (lapsed_day_number, order_number, cause)) as order_number,
        min_by(cause, (lapsed_day_number, order_number, cause)) as cause
    from disappointments
    group by customer_number

),

-- A later call knows more orders of the days to come, so it may know more of later lapses.
lapses as (

    select
        timed.*,
        least(timed.leaving_day_number, first_disappointments.lapsed_day_number)
            as lapsed_day_number,
        if(
            coalesce(first_disappointments.lapsed_day_number < timed.leaving_day_number, true),
            first_disappointments.order_number,
            null
        ) as lapse_order_number,
        if(
            coalesce(first_disappointments.lapsed_day_number < timed.leaving_day_number, true),
            first_disappointments.cause,
            null
        ) as lapse_cause
    from timed
    left join first_disappointments
        on timed.customer_number = first_disappointments.customer_number

),

customers as (

    select
        *,
        registered_day_number
        + days_late(draw(hour_bits, 3, 1000), 20, 3) as registration_shown_day_number,
        moved_day_number + days_late(moving_draw * 7 % 1000, 240, 60) as move_shown_day_number,
        moment(registered_day_number, draw(hour_bits, 0, 86400)) as registered_at,
        moment(moved_day_number, draw(hour_bits, 1, 86400)) as moved_at,
        moment(consent_day_number, draw(hour_bits, 2, 86400)) as consent_changed_at,
        moment(renamed_day_number, draw(new_name_bits, 0, 86400)) as renamed_at
    from lapses

)

select * from customers;

-- Customers as the CRM shows them on the clock's day.
create table crm_customers as

with changed as (

    select
        *,
        bits_of('address', person_number) as address_bits,
        is_shown(move_shown_day_number) as has_moved,
        is_shown(consent_day_number) as has_changed_consent,
        is_shown(renamed_day_number) as has_renamed,
        is_news(registration_shown_day_number) as is_new
    from customers
    where
        is_shown(registration_shown_day_number)
        and (
            is_news(registration_shown_day_number)
            or is_news(move_shown_day_number)
            or is_news(consent_day_number)
            or is_news(renamed_day_number)
        )

),

described as (

    select
        changed.*,
        draw_from(changed.identity_bits, 1, home.given_names) as given_name,
        if(
            changed.has_renamed and changed.renaming_draw % 2 = 0,
            draw_from(changed.new_name_bits, 1, home.family_names),
            draw_from(changed.identity_bits, 2, home.family_names)
        ) as family_name,
        if(
            changed.has_moved,
            draw_from(changed.new_address_bits, 2, new_home.streets)
            || ' ' || (1 + draw(changed.new_name_bits, 2, 120)),
            draw_from(changed.address_bits, 0, home.streets)
            || ' ' || (1 + draw(changed.address_bits, 1, 120))
        ) as street,
        if(
            changed.has_moved,
            draw_from(changed.new_address_bits, 3, new_home.places),
            draw_from(changed.address_bits, 2, home.places)
        ) as place,
        if(changed.has_moved, changed.new_country, changed.country) as current_country,
        if(
            len(home.phones) = 0 or draw(changed.gap_bits, 1, 100) < 12,
            null,
            replace(
                replace(
                    draw_from(changed.identity_bits, 3, home.phones),
                    'nnn', lpad(cast(draw(changed.contact_bits, 1, 1000) as varchar), 3, '0')
                ),
                'nn', lpad(cast(draw(changed.contact_bits, 1, 100) as varchar), 2, '0')
            )
        ) as phone,
        case
            when draw(changed.gap_bits, 3, 100) < 15 then null
            when draw(changed.gap_bits, 3, 100) < 16 then 'd'
            else ['f', 'm'][1 + draw(changed.identity_bits, 1, len(home.given_names)) % 2]
        end as gender
    from changed
    inner join countries as home on changed.country = home.country
    inner join countries as new_home on changed.new_country = new_home.country

),

-- An email address here has Latin letters only. A name in another script leaves only the number.
emails_made as (

    select
        *,
        ltrim(regexp_replace(
            strip_accents(lower(given_name || '.' || family_name)), '[^a-z.]', '', 'g'
        ), '.')
        || person_number
        || ['@example.com', '@example.org', '@example.net'][
            1 + (draw(contact_bits, 0, 3) + cast(has_renamed as integer)) % 3
        ] as email
    from described

),

-- A second account spells the name in another way: capitals, no umlauts, an initial or a typing
-- error.
respelled as (

    select
        *,
        if(is_second_account, draw(account_bits, 3, 5), 4) as spelling
    from emails_made

),

crm_customers as (

    select
        customer_id_of(customer_number) as customer_id,
        case spelling
            when 0 then upper(given_name)
            when 2 then left(given_name, 1) || '.'
            else given_name
        end as given_name,
        case spelling
            when 0 then upper(family_name)
            when 1
                then replace(
                    replace(replace(replace(
                        family_name, 'ü', 'ue'
                    ), 'ö', 'oe'), 'ä', 'ae'), 'ß', 'ss'
                )
            when 3 then left(family_name, 2) || right(family_name, -1)
            else family_name
        end as family_name,
        case
            when has_bad_email and not has_renamed
                then [
                    replace(email, '@', '.'),
                    split_part(email, '@', 1) || '@',
                    replace(email, '.', ' '),
                    'n/a',
                    split_part(email, '.', 1) || '@example'
                ][1 + customer_number % 5]
            when draw(gap_bits, 0, 100) < 4 then null
            when is_second_account and spelling % 2 = 1 then 'mail.' || email
            else email
        end as email,
        if(is_second_account, replace(phone, ' ', ''), phone) as phone,
        if(
            draw(gap_bits, 2, 100) < 6,
            null,
            strftime(
                date '1931-01-01' + cast(draw(contact_bits, 3, 27400) as integer), '%Y-%m-%d'
            )
        ) as birth_date,
        gender,
        street,
        split_part(place, '|', 1) as postcode,
        split_part(place, '|', 2) as city,
        current_country as country,
        case
            when has_changed_consent then cast(consent_draw % 3 = 0 as integer)
            when draw(relation_bits, 2, 100) < 12 then null
            else cast(draw(relation_bits, 2, 100) < 60 as integer)
        end as consent,
        customer_id_of(referrer_number) as referred_by_customer_id,
        registered_at,
        is_new,
        greatest(
            registered_at,
            if(has_moved, moved_at, null),
            if(has_changed_consent, consent_changed_at, null),
            if(has_renamed, renamed_at, null)
        ) as updated_at
    from respelled

)

select * from crm_customers;

-- Experiments of the pharmacy; half of the participants get the treatment. uplift_permille is the
-- number of additional orders within the window, per 1,000 treated customers.
create table experiments as

select *
from (
    values
    (
        0, 'free_delivery', 'control', 'free_delivery',
        date '2025-09-01' - getvariable('history_starts'), 42, 14, 200, true
    ),
    (
        1, 'reminder_wording', 'usual', 'usual_again',
        date '2026-01-12' - getvariable('history_starts'), 84, 14, 0, false
    )
) as made_up (
    experiment_number, experiment_name, control, treatment,
    first_day_number, day_count, window_days, uplift_permille, has_exposures
);

-- One row per experiment and participant, including future participants.
create table experiment_customers as

with drawn as (

    select
        experiments.*,
        customers.customer_number,
        customers.registered_day_number,
        customers.registration_shown_day_number,
        customers.leaving_day_number,
        customers.lapsed_day_number,
        bits_of(
            'experiment', experiments.experiment_number || '/' || customers.customer_number
        ) as participation_bits,
        bits_of(
            'exposure', experiments.experiment_number || '/' || customers.customer_number
        ) as exposure_bits
    from experiments
    cross join customers

),

assigned as (

    select
        *,
        draw(participation_bits, 0, 2) = 1 as is_treated,
        first_day_number + draw(participation_bits, 1, day_count) as assigned_day_number,
        draw(participation_bits, 2, 1000) as fate_draw,
        draw(participation_bits, 3, 1000) as response_draw
    from drawn

),

-- Leave out customers who lapsed, or who leave before the window ends: no treatment changes their
-- orders. Disappointments within the window are not known yet.
participants as (

    select
        *,
        assigned_day_number + draw(exposure_bits, 0, 4) as exposure_day_number
    from assigned
    where
        draw(exposure_bits, 3, 100) < 85
        and registration_shown_day_number <= assigned_day_number
        and coalesce(lapsed_day_number > assigned_day_number, true)
        and coalesce(leaving_day_number > assigned_day_number + window_days + 5, true)

),

outcomes_drawn as (

    select
        *,
        fate_draw < 60 and has_exposures as is_never_exposed,
        fate_draw between 60 and 74 as is_contaminated,
        fate_draw between 75 and 86 as is_removed,
        fate_draw between 87 and 94 as is_broken,
        moment(assigned_day_number, draw(exposure_bits, 1, 80000)) as assigned_at,
        moment(exposure_day_number, 80000 + draw(exposure_bits, 2, 6400)) as would_be_exposed_at
    from participants

),

experiment_customers as (

    select
        *,
        if(has_exposures and not is_never_exposed, would_be_exposed_at, null) as exposed_at,
        if(has_exposures, would_be_exposed_at, assigned_at) as started_at,
        moment(assigned_day_number + 5 + fate_draw % 7, 43200) as amended_at,
        -- The day of the order that the treatment caused.
        if(
            is_treated and not is_never_exposed and not is_contaminated
            and not is_removed and not is_broken and response_draw < uplift_permille,
            assigned_day_number + 5 + draw(exposure_bits, 2, window_days - 6),
            null
        ) as response_day_number
    from outcomes_drawn

)

select * from experiment_customers;

-- Assignments as the CRM shows them on the clock's day. A customer who was assigned again has two
-- entries. removed_at marks a customer who left the experiment.
create table crm_experiment_assignments as

with entries as (

    select
        (customer_number * 10 + experiment_number) * 10 as assignment_id,
        *,
        is_treated as is_for_treatment,
        assigned_at as entered_at
    from experiment_customers

    union all

    select
        (customer_number * 10 + experiment_number) * 10 + 1 as assignment_id,
        *,
        not is_treated as is_for_treatment,
        amended_at as entered_at
    from experiment_customers
    where is_contaminated

),

seen as (

    select
        *,
        assignment_id % 10 = 0 and is_shown(day_of(exposed_at)) as is_seen_exposed,
        is_removed and is_shown(day_of(amended_at)) as is_seen_removed
    from entries
    where is_shown(day_of(entered_at))

),

crm_experiment_assignments as (

    select
        assignment_id,
        experiment_name,
        customer_id_of(customer_number) as customer_id,
        case
            when is_broken then null
            when is_for_treatment then treatment
            else control
        end as variant,
        entered_at as assigned_at,
        if(is_seen_exposed, exposed_at, null) as exposed_at,
        if(is_seen_removed, amended_at, null) as removed_at,
        is_news(day_of(entered_at)) as is_new,
        greatest(
            entered_at,
            if(is_seen_exposed, exposed_at, null),
            if(is_seen_removed, amended_at, null)
        ) as updated_at
    from seen

)

select * from crm_experiment_assignments
where is_news(day_of(updated_at));

-- The plan of the first experiment. The second one has no plan, as one that a team began in haste.
create table crm_experiments as

select
    experiment_name,
    'orders' as metric,
    1 as minimum_value,
    window_days,
    is_news(first_day_number) as is_new,
    moment(first_day_number, 0) as updated_at
from experiments
where has_exposures and is_news(first_day_number);

create table crm_experiment_variants as

select
    experiments.experiment_number * 10 + places.place as variant_id,
    experiments.experiment_name,
    if(places.place = 0, experiments.control, experiments.treatment) as variant,
    1 as weight,
    if(places.place = 0, 1, 0) as is_control,
    is_news(experiments.first_day_number) as is_new,
    moment(experiments.first_day_number, 0) as updated_at
from experiments
cross join range(2) as places (place)
where experiments.has_exposures and is_news(experiments.first_day_number);
