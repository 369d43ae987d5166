with results as (

    select
        'strip_markup' as macro_name,
        {{ strip_markup("'good<br/>stuff, 3 < 5'") }} as result,
        'good stuff, 3 < 5' as worked_result

    union all

    select
        'list_tokens' as macro_name,
        cast({{ list_tokens("'Not good, alas!'") }} as varchar) as result,
        cast(['not', 'good', ',', 'alas', '!'] as varchar) as worked_result

    union all

    select
        'list_tokens of another script' as macro_name,
        cast({{ list_tokens("'बहुत अच्छा!'") }} as varchar) as result,
        cast(['बहुत', 'अच्छा', '!'] as varchar) as worked_result

    union all

    select
        'compose_letters' as macro_name,
        {{ compose_letters("'e' || chr(769)") }} as result,
        chr(233) as worked_result

    union all

    select
        'is_word' as macro_name,
        cast({{ is_word("'good'") }} as varchar) as result,
        'true' as worked_result

    union all

    select
        'is_word of a mark' as macro_name,
        cast({{ is_word("'?!'") }} as varchar) as result,
        'false' as worked_result

    union all

    select
        'count_sentences' as macro_name,
        cast({{ count_sentences("'Good... Very good! Again?'") }} as varchar) as result,
        '3' as worked_result

    union all

    select
        'term_bucket_count' as macro_name,
        cast({{ term_bucket_count() }} as varchar) as result,
        '256' as worked_result

    union all

    select
        'hash_to_bucket' as macro_name,
        cast({{ hash_to_bucket("'good'") }} as varchar) as result,
        '194' as worked_result

    union all

    select
        'hash_to_sign' as macro_name,
        cast({{ hash_to_sign("'good'") }} as varchar) as result,
        '1' as worked_result

    union all

    select
        'negation_reach' as macro_name,
        cast({{ negation_reach() }} as varchar) as result,
        '3' as worked_result

    union all

    select
        'list_matches' as macro_name,
        cast({{ list_matches("'a1b22'", '[0-9]+') }} as varchar) as result,
        cast(['1', '22'] as varchar) as worked_result

    union all

    select
        'count_matches' as macro_name,
        cast({{ count_matches("'a1b22'", '[0-9]+') }} as varchar) as result,
        '2' as worked_result

    union all

    select
        'replace_matches' as macro_name,
        {{ replace_matches("'a1b22'", '[0-9]+', '#') }} as result,
        'a#b#' as worked_result

    union all

    select
        'explode_list' as macro_name,
        string_agg(exploded.letter, ' ' order by exploded.place) as result,
        'a b' as worked_result
    from (
        select {{ explode_list("['a', 'b']", value='letter', number='place') }}
    ) as exploded

    union all

    select
        'build_map' as macro_name,
        cast({{ build_map('pairs.number', 'pairs.weight') }} as varchar) as result,
        '{1=-1, 2=5}' as worked_result
    from (values (2, 5), (1, -1)) as pairs (number, weight)

    union all

    select
        'read_hexadecimal' as macro_name,
        cast({{ read_hexadecimal("'ff'") }} as varchar) as result,
        '255' as worked_result

    union all

    select
        'count_different_bits' as macro_name,
        cast({{ count_different_bits('5', '6') }} as varchar) as result,
        '2' as worked_result

    union all

    select
        'most_contents_of_a_hash' as macro_name,
        cast({{ most_contents_of_a_hash() }} as varchar) as result,
        '50' as worked_result

)

select
    macro_name,
    result,
    worked_result
from results
where result is distinct from worked_result
