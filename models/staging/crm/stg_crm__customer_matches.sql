{% set fields = ['person_name', 'email', 'phone', 'birth_date', 'address'] %}

with customers as (

    {{ current_rows('crm.customers', key='customer_id') }}

),

match_rules as (

    select * from {{ ref('match_rules') }}

),

spellings_folded as (

    select
        customer_id,
        trim({{ replace_matches(fold_text('full_name'), '[^\\p{L}]+', ' ') }}) as words,
        split_part(split_part(lower(email), '@', 1), '+', 1) as mailbox,
        {{ replace_matches('phone', '[^0-9]') }} as digits,
        {{ replace_matches(fold_text('postcode'), '[^\\p{L}\\p{N}]') }} as postcode,
        {{ replace_matches(fold_text('street'), '[^\\p{L}\\p{N}]') }} as street,
        birth_date
    from customers

),

identities_normalised as (

    select
        customer_id,
        nullif({{ sort_words('words') }}, '') as person_name,
        nullif({{ replace_matches('mailbox', '[^\\p{L}\\p{N}]') }}, '') as email,
        {{ replace_matches('mailbox', '[^0-9]') }} as email_digits,
        case when length(digits) >= 7 then right(digits, 8) end as phone,
        nullif(postcode, '') as postcode,
        nullif(postcode, '') || nullif(street, '') as address,
        birth_date
    from spellings_folded

),

values_counted as (

    select
        *,
        count(*) over (partition by person_name) as person_name_count,
        count(*) over (partition by email) as email_count,
        count(*) over (partition by phone) as phone_count,
        count(*) over (partition by birth_date) as birth_date_count,
        count(*) over (partition by address) as address_count,
        count(*) over () as customer_count
    from identities_normalised

),

words_of_names as (

    select
        customer_id,
        birth_date,
        {{ list_words('person_name') }} as word
    from identities_normalised

),

blocks as (

    select
        customer_id,
        'email ' || email as block
    from identities_normalised

    union all

    select
        customer_id,
        'phone ' || phone as block
    from identities_normalised

    union all

    select
        customer_id,
        'address ' || address as block
    from identities_normalised

    union all

    select
        customer_id,
        'postcode ' || postcode || ' ' || person_name as block
    from identities_normalised

    union all

    select distinct
        customer_id,
        'born ' || cast(birth_date as varchar) || ' ' || left(word, 1) as block
    from words_of_names

),

blocks_counted as (

    select
        customer_id,
        block,
        count(*) over (partition by block) as customer_count
    from blocks
    where block is not null

),

-- A value that very many share, such as the till's own address, tells nothing of anybody.
informative_blocks as (

    select
        customer_id,
        block
    from blocks_counted
    where customer_count between 2 and {{ var('largest_match_block') }}

),

candidate_pairs as (

    select distinct
        informative_blocks.customer_id,
        peers.customer_id as other_customer_id
    from informative_blocks
    inner join informative_blocks as peers
        on
            informative_blocks.block = peers.block
            and informative_blocks.customer_id < peers.customer_id

),

pairs_compared as (

    select
        candidate_pairs.customer_id,
        candidate_pairs.other_customer_id,
        case
            when one.person_name = peer.person_name then 'same'
            when {{ measure_similarity('one.person_name', 'peer.person_name') }} >= 0.9
                then 'similar'
            when {{ share_a_word('one.person_name', 'peer.person_name') }} then 'partly'
            when one.person_name <> peer.person_name then 'different'
        end as person_name_agreement,
        case
            when one.email = peer.email then 'same'
            when
                one.email_digits = peer.email_digits
                and (
                    {{ measure_similarity('one.email', 'peer.email') }} >= 0.92
                    or (length(peer.email) >= 6 and contains(one.email, peer.email))
                    or (length(one.email) >= 6 and contains(peer.email, one.email))
                )
                then 'similar'
            when one.email <> peer.email then 'different'
        end as email_agreement,
        case
            when one.phone = peer.phone then 'same'
            when one.phone <> peer.phone then 'different'
        end as phone_agreement,
        case
            when one.birth_date = peer.birth_date then 'same'
            when
                cast(day(one.birth_date) = day(peer.birth_date) as integer)
                + cast(month(one.birth_date) = month(peer.birth_date) as integer)
                + cast(year(one.birth_date) = year(peer.birth_date) as integer) = 2
                or (
                    day(one.birth_date) = month(peer.birth_date)
                    and month(one.birth_date) = day(peer.birth_date)
                    and year(one.birth_date) = year(peer.birth_date)
                )
                then 'similar'
            when one.birth_date <> peer.birth_date then 'different'
        end as birth_date_agreement,
        case
            when one.address = peer.address then 'same'
            when {{ measure_similarity('one.address', 'peer.address') }} >= 0.93
                then 'similar'
            when one.address <> peer.address then 'different'
        end as address_agreement,
        one.person_name_count,
        one.email_count,
        one.phone_count,
        one.birth_date_count,
        one.address_count,
        one.customer_count
    from candidate_pairs
    inner join values_counted as one on candidate_pairs.customer_id = one.customer_id
    inner join values_counted as peer on candidate_pairs.other_customer_id = peer.customer_id

),

-- The chance that two people share a value is the share of the customers who have it; that two
-- customers are one person at all is about as likely as one in all of them.
pairs_weighed as (

    select
        pairs_compared.customer_id,
        pairs_compared.other_customer_id,
        pairs_compared.person_name_agreement,
        pairs_compared.email_agreement,
        pairs_compared.phone_agreement,
        pairs_compared.birth_date_agreement,
        pairs_compared.address_agreement,
        {{ weigh_agreements(fields) }} as match_weight
    from pairs_compared
    left join match_rules as person_name_rules
        on
            pairs_compared.person_name_agreement = person_name_rules.agreement
            and person_name_rules.field = 'person_name'
    left join match_rules as email_rules
        on
            pairs_compared.email_agreement = email_rules.agreement
            and email_rules.field = 'email'
    left join match_rules as phone_rules
        on
            pairs_compared.phone_agreement = phone_rules.agreement
            and phone_rules.field = 'phone'
    left join match_rules as birth_date_rules
        on
            pairs_compared.birth_date_agreement = birth_date_rules.agreement
            and birth_date_rules.field = 'birth_date'
    left join match_rules as address_rules
        on
            pairs_compared.address_agreement = address_rules.agreement
            and address_rules.field = 'address'

),

stg_crm__customer_matches as (

    select
        customer_id,
        other_customer_id,
        {{ list_agreements(fields) }} as agreeing_fields,
        {{ list_differences(fields) }} as differing_fields,
        match_weight,
        1 / (1 + power(2, -match_weight)) as match_probability
    from pairs_weighed
    where 1 / (1 + power(2, -match_weight)) >= {{ var('duplicate_probability') }}

)

select * from stg_crm__customer_matches
