with results as (

    select
        'beginning_of_time' as macro_name,
        cast({{ beginning_of_time() }} as varchar) as result,
        '0001-01-01 00:00:00' as worked_result

    union all

    select
        'end_of_time' as macro_name,
        cast({{ end_of_time() }} as varchar) as result,
        '9999-12-31 23:59:59.999999' as worked_result

    union all

    select
        'unknown_key' as macro_name,
        {{ unknown_key() }} as result,
        '00000000000000000000000000000000' as worked_result

    union all

    select
        'unknown_code' as macro_name,
        {{ unknown_code() }} as result,
        'unknown' as worked_result

    union all

    select
        'no_currency' as macro_name,
        {{ no_currency() }} as result,
        'XXX' as worked_result

    union all

    select
        'generate_surrogate_key' as macro_name,
        {{ generate_surrogate_key(["'C1'", "'1767225600000000'"]) }} as result,
        md5('2:C116:1767225600000000') as worked_result

    union all

    select
        'generate_surrogate_key of null' as macro_name,
        {{ generate_surrogate_key(["'C1'", "null"]) }} as result,
        md5('2:C1-') as worked_result

    union all

    select
        'generate_version_key' as macro_name,
        {{ generate_version_key("'C1'", "timestamp '2026-01-01'") }} as result,
        md5('2:C116:1767225600000000') as worked_result

    union all

    select
        'generate_version_key before every known time' as macro_name,
        {{ generate_version_key("'C1'", "cast(null as timestamp)") }} as result,
        md5('2:C17:unknown') as worked_result

    union all

    select
        'mask_date_to_year' as macro_name,
        cast({{ mask_date_to_year("date '1980-07-31'") }} as varchar) as result,
        '1980' as worked_result

    union all

    select
        'mask_postcode_to_area' as macro_name,
        {{ mask_postcode_to_area("' sw1a 1aa'") }} as result,
        'SW' as worked_result

    union all

    select
        'mask_text_to_presence' as macro_name,
        cast({{ mask_text_to_presence("'ann@example.org'") }} as varchar) as result,
        'true' as worked_result

    union all

    select
        'mask_text_to_presence of blanks' as macro_name,
        cast({{ mask_text_to_presence("' '") }} as varchar) as result,
        'false' as worked_result

    union all

    select
        'hmac_sha256, RFC 4231, test case 1' as macro_name,
        {{ hmac_sha256(
            "repeat(unhex('0b'), 20)",
            "cast('Hi There' as blob)"
        ) }} as result,
        'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7' as worked_result

    union all

    select
        'hmac_sha256, RFC 4231, test case 2' as macro_name,
        {{ hmac_sha256(
            "cast('Jefe' as blob)",
            "cast('what do ya want for nothing?' as blob)"
        ) }} as result,
        '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843' as worked_result

    union all

    select
        'hmac_sha256, RFC 4231, test case 3' as macro_name,
        {{ hmac_sha256(
            "repeat(unhex('aa'), 20)",
            "repeat(unhex('dd'), 50)"
        ) }} as result,
        '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe' as worked_result

    union all

    select
        'hmac_sha256, RFC 4231, test case 4' as macro_name,
        {{ hmac_sha256(
            "unhex('0102030405060708090a0b0c0d0e0f10111213141516171819')",
            "repeat(unhex('cd'), 50)"
        ) }} as result,
        '82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b' as worked_result

    union all

    select
        'hmac_sha256, RFC 4231, test case 6' as macro_name,
        {{ hmac_sha256(
            "repeat(unhex('aa'), 131)",
            "cast('Test Using Larger Than Block-Size Key - Hash Key First' as blob)"
        ) }} as result,
        '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54' as worked_result

    union all

    select
        'mask_age_to_band' as macro_name,
        cast({{ mask_age_to_band("47") }} as varchar) as result,
        '40' as worked_result

    union all

    select
        'mask_age_to_band of the oldest' as macro_name,
        cast({{ mask_age_to_band("104") }} as varchar) as result,
        '90' as worked_result

    union all

    select
        'convert_hex_to_integer' as macro_name,
        cast({{ convert_hex_to_integer("'ff'") }} as varchar) as result,
        '255' as worked_result

    union all

    select
        'encode_utf8' as macro_name,
        hex({{ encode_utf8("'é'") }}) as result,
        'C3A9' as worked_result

    union all

    select
        'build_json' as macro_name,
        {{ build_json(['city', 'country']) }} as result,
        '{"city":"Leeds","country":null}' as worked_result
    from (
        select
            'Leeds' as city,
            null as country
    ) as places

    union all

    select
        'suppress_rare_values' as macro_name,
        string_agg(kept.drug_kept, ' ') as result,
        'A A A' as worked_result
    from (
        with prescriptions (drug, person) as (

            values
            ('A', 1),
            ('A', 2),
            ('A', 3),
            ('B', 1),
            ('B', 2),
            ('C', 3)

        )

        select * from (
            {{ suppress_rare_values('prescriptions', 'drug', person='person', minimum=2) }}
        ) as kept
    ) as kept

    union all

    select
        'convert_to_epoch_us' as macro_name,
        cast({{ convert_to_epoch_us("timestamp '2026-01-01 00:00:01'") }} as varchar) as result,
        '1767225601000000' as worked_result

    union all

    select
        'extract_iso_day_of_week' as macro_name,
        cast({{ extract_iso_day_of_week("date '2026-04-19'") }} as varchar) as result,
        '7' as worked_result

    union all

    select
        'list_days' as macro_name,
        string_agg(cast(listed.date_day as varchar), ' ' order by listed.date_day) as result,
        '2026-02-28 2026-03-01' as worked_result
    from (
        select {{ list_days("date '2026-02-28'", "date '2026-03-01'") }} as date_day
    ) as listed

    union all

    select
        'fold_text' as macro_name,
        {{ fold_text("'ZOË'") }} as result,
        'zoe' as worked_result

    union all

    select
        'replace_pattern' as macro_name,
        {{ replace_pattern("'030 23-125'", '[^0-9]') }} as result,
        '03023125' as worked_result

    union all

    select
        'sort_words' as macro_name,
        {{ sort_words("'zoe boehm'") }} as result,
        'boehm zoe' as worked_result

    union all

    select
        'share_a_word' as macro_name,
        cast({{ share_a_word("'lange zoe'", "'boehm zoe'") }} as varchar) as result,
        'true' as worked_result

    union all

    select
        'measure_similarity' as macro_name,
        cast(round({{ measure_similarity("'martha'", "'marhta'") }}, 3) as varchar) as result,
        '0.961' as worked_result

    union all

    select
        'list_words' as macro_name,
        string_agg(listed.word, ' ' order by listed.word) as result,
        'boehm zoe' as worked_result
    from (
        select {{ list_words("'zoe boehm'") }} as word
    ) as listed

    union all

    select
        'score_quintiles' as macro_name,
        string_agg(cast(scored.score as varchar), ' ' order by scored.amount) as result,
        '1 3 3 3 5' as worked_result
    from (
        select
            amounts.amount,
            {{ score_quintiles('amounts.amount', by='amounts.currency') }} as score
        from (
            values
            (1, 'EUR'), (2, 'EUR'), (2, 'EUR'), (2, 'EUR'), (9, 'EUR')
        ) as amounts (amount, currency)
    ) as scored

    union all

    select
        'score_quintiles of a tie at the top, and of one alone' as macro_name,
        string_agg(
            cast(scored.score as varchar), ' ' order by scored.currency, scored.amount
        ) as result,
        '1 4 4 4 4 3' as worked_result
    from (
        select
            amounts.currency,
            amounts.amount,
            {{ score_quintiles('amounts.amount', by='amounts.currency') }} as score
        from (
            values
            (4, 'EUR'), (9, 'EUR'), (9, 'EUR'), (9, 'EUR'), (9, 'EUR'), (1, 'GBP')
        ) as amounts (amount, currency)
    ) as scored

    union all

    select
        'score_quintiles by the first places' as macro_name,
        string_agg(cast(scored.score as varchar), ' ' order by scored.amount) as result,
        '1 2 2 2 5' as worked_result
    from (
        select
            amounts.amount,
            {{ score_quintiles('amounts.amount', by='amounts.currency', ties='first') }} as score
        from (
            values
            (1, 'EUR'), (2, 'EUR'), (2, 'EUR'), (2, 'EUR'), (9, 'EUR')
        ) as amounts (amount, currency)
    ) as scored

    union all

    select
        'list_agreements' as macro_name,
        {{ list_agreements(['person_name', 'phone', 'address']) }}
        || ' / ' || {{ list_differences(['person_name', 'phone', 'address']) }} as result,
        'person_name (similar), phone / address' as worked_result
    from (
        select
            'similar' as person_name_agreement,
            'same' as phone_agreement,
            'different' as address_agreement
    ) as pairs_compared -- noqa: AL05

    union all

    select
        'symmetrise_edges' as macro_name,
        string_agg(ways.from_node_id || '-' || ways.to_node_id, ' ' order by ways.from_node_id)
            as result,
        'A-B B-A' as worked_result
    from (
        with undirected (graph, from_node_id, to_node_id, weight, is_directed) as (

            values
            ('friends', 'A', 'B', 1, false)

        )

        {{ symmetrise_edges('undirected') }}
    ) as ways

    union all

    select
        'as_of at the moment of a change' as macro_name,
        string_agg(dim_customer.city, ' ') as result,
        'Derby' as worked_result
    from (
        values
        ('C1', 'Leeds', {{ beginning_of_time() }}, timestamp '2026-02-01'),
        ('C1', 'Derby', timestamp '2026-02-01', {{ end_of_time() }})
    ) as dim_customer (customer_id, city, valid_from, valid_to)
    where {{ as_of('dim_customer', "'C1'", "timestamp '2026-02-01'") }}

    union all

    select
        'build_scd2' as macro_name,
        string_agg(
            versions.city || ' until ' || cast(versions.valid_to as varchar), ', '
            order by versions.valid_from
        ) as result,
        'Leeds until 2026-02-01 00:00:00, York until 9999-12-31 23:59:59.999999' as worked_result
    from (
        with customer_history (customer_id, city, change_number, is_deleted, changed_at) as (

            values
            ('C1', 'Leeds', 1, false, timestamp '2026-01-01'),
            ('C1', 'Derby', 2, false, timestamp '2026-02-01'),
            ('C1', 'York', 3, false, timestamp '2026-02-01'),
            ('C1', 'York', 4, false, timestamp '2026-03-01')

        )

        select * from (
            {{ build_scd2('customer_history', key='customer_id', attributes=['city']) }}
        ) as versions
    ) as versions

    union all

    select
        'append_unknown_member' as macro_name,
        string_agg(
            members.customer_key || ' ' || coalesce(members.city, 'null') || ' '
            || cast(members.is_current as varchar),
            ', '
            order by members.city
        ) as result,
        'K1 Leeds true, 00000000000000000000000000000000 null true' as worked_result
    from (
        with customers (customer_key, city, is_current) as (

            values ('K1', 'Leeds', true)

        )

        select * from (
            {{ append_unknown_member('customers', ['customer_key', 'city', 'is_current']) }}
        ) as members
    ) as members

    union all

    select
        'select_latest_load' as macro_name,
        cast(loads._loaded_at as varchar) || ' ' || cast(loads._is_backfill as varchar) as result,
        '2026-01-02 00:00:00 true' as worked_result
    from (
        select {{ select_latest_load('orders', 'order_lines') }}
        from (
            select
                timestamp '2026-01-01' as _loaded_at,
                false as _is_backfill
        ) as orders
        cross join (
            select
                timestamp '2026-01-02' as _loaded_at,
                true as _is_backfill
        ) as order_lines
    ) as loads

)

select
    macro_name,
    result,
    worked_result
from results
where result is distinct from worked_result
