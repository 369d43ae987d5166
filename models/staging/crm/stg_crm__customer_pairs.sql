{{ config(materialized='table') }}

{% set fields = ['person_name', 'email', 'phone', 'birth_date', 'address'] %}

with customers as (

    {{ current_rows('crm.customers', key='customer_id') }}

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
        {% for field in fields -%}
            count(*) over (partition by {{ field }}) as {{ field }}_count,
        {% endfor -%}
        count(*) over () as customer_count
    from identities_normalised

),

shop_counted as (

    select
        {% for field in fields -%}
            count({{ field }}) as {{ field }}_known_count,
            sum(case when {{ field }} is not null then ({{ field }}_count - 1) / 2 end)
                as {{ field }}_pair_count,
        {% endfor -%}
        max(customer_count) as customer_count
    from values_counted

),

words_of_names as (

    select
        customer_id,
        birth_date,
        {{ list_words('person_name') }} as word
    from identities_normalised

),

blocks as (

    {% for name, identity in {'email': 'email', 'phone': 'phone', 'address': 'address',
        'postcode': "postcode || ' ' || person_name"}.items() -%}
        select
            customer_id,
            '{{ name }} ' || {{ identity }} as block
        from identities_normalised

        union all

    {% endfor -%}
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

-- A value that very many share, such as the shop's own address, identifies no customer.
informative_blocks as (

    select
        customer_id,
        block
    from blocks_counted
    where customer_count between 2 and {{ var('largest_match_block') }}

),

customers_shuffled as (

    select
        customer_id,
        row_number() over (order by md5(customer_id), customer_id) as place
    from identities_normalised

),

candidate_pairs as (

    select distinct
        informative_blocks.customer_id,
        peers.customer_id as other_customer_id,
        false as is_random
    from informative_blocks
    inner join informative_blocks as peers on informative_blocks.block = peers.block
    where informative_blocks.customer_id < peers.customer_id

),

-- Places are joined by equality: a range of them compares every customer with every other.
distances as (

    {% for distance in range(1, var('match_random_peers') + 1) -%}
        select {{ distance }} as distance
        {{ 'union all' if not loop.last }}
    {% endfor %}

),

-- Pairs that chance has made show how often two people agree.
all_pairs as (

    select * from candidate_pairs
    union all
    select
        least(one.customer_id, peer.customer_id) as customer_id,
        greatest(one.customer_id, peer.customer_id) as other_customer_id,
        true as is_random
    from customers_shuffled as one
    cross join distances
    inner join customers_shuffled as peer on one.place + distances.distance = peer.place
    where one.place <= {{ var('match_random_customers') }}

),

stg_crm__customer_pairs as (

    select
        all_pairs.customer_id,
        all_pairs.other_customer_id,
        all_pairs.is_random,
        {{ compare_values('person_name', {
            'similar': measure_similarity('one.person_name', 'peer.person_name') ~ ' >= 0.9',
            'partly': share_a_word('one.person_name', 'peer.person_name'),
        }) }} as person_name_agreement,
        {{ compare_values('email', {'similar': is_similar_mailbox('one', 'peer')}) }}
            as email_agreement,
        {{ compare_values('phone') }} as phone_agreement,
        {{ compare_values('birth_date', {
            'similar': is_similar_date('one.birth_date', 'peer.birth_date')
        }) }} as birth_date_agreement,
        {{ compare_values('address', {
            'similar': measure_similarity('one.address', 'peer.address') ~ ' >= 0.93'
        }) }} as address_agreement,
        {% for field in fields -%}
            one.{{ field }}_count,
            shop_counted.{{ field }}_known_count,
            cast(shop_counted.{{ field }}_pair_count as double) as {{ field }}_pair_count,
        {% endfor -%}
        shop_counted.customer_count
    from all_pairs
    inner join values_counted as one on all_pairs.customer_id = one.customer_id
    inner join values_counted as peer on all_pairs.other_customer_id = peer.customer_id
    cross join shop_counted

)

select * from stg_crm__customer_pairs
