-- Every customer with all that ever happens to them, shown or not, now or later.
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
        bits_of('relations', customer_number) as relation_bits,
        bits_of('life', customer_number) as life_bits,
        bits_of('hours', customer_number) as hour_bits,
        bits_of('new address', customer_number) as new_address_bits,
        bits_of('new name', customer_number) as new_name_bits
    from registered

),

-- Some register twice: a second account takes its person from an older one.
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
        bits_of('address', person_number) as address_bits,
        bits_of('contact', person_number) as contact_bits,
        bits_of('gaps', person_number) as gap_bits,
        draw(account_bits, 2, 1000) < 8 as has_bad_email,
        draw(life_bits, 0, 12000) as moving_draw,
        draw(life_bits, 1, 12000) as consent_draw,
        draw(life_bits, 2, 12000) as renaming_draw,
        draw(life_bits, 3, 1000) as lapsing_draw
    from persons_found

),

-- Changes of one customer keep to days of their own, 20 apart in every 60, so that none is shown
-- before an older one, however late that is. Who gave a bad address is mostly asked for another.
timed as (

    select
        *,
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
        if(lapsing_draw < 350, registered_day_number + 30 + 3 * lapsing_draw, null)
            as lapsed_day_number
    from person_drawn

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
    from timed

)

select * from customers;

-- Customers as the CRM shows them on the clock's day.
create table crm_customers as

with changed as (

    select
        *,
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

-- Names in other scripts have no letters to make an address of: the number alone stands then.
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

-- A second account is not typed in like the first: capitals, plain vowels, an initial, a slip.
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
            when 1 then replace(replace(replace(replace(
                family_name, 'ü', 'ue'), 'ö', 'oe'), 'ä', 'ae'), 'ß', 'ss'
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
        if(
            customer_number > 0 and draw(relation_bits, 3, 100) < 8,
            customer_id_of(draw_of_many(account_bits, 0, customer_number)),
            null
        ) as referred_by_customer_id,
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
