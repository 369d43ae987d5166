{# One round of expectation and maximisation. #}
{% macro reestimate_agreements(candidates, rules, prior_rules) -%}
    with share as (

        select max(duplicate_share) as duplicate_share
        from {{ rules }}

    ),

    pairs_expected as (

        select
            candidates.customer_id,
            candidates.other_customer_id,
            max(candidates.customer_count) as customer_count,
            1 / (1 + power(2, -(
                max(log2(share.duplicate_share / candidates.customer_count))
                + sum(log2(rules.m_probability / candidates.u_probability))
            ))) as match_probability
        from {{ candidates }} as candidates
        cross join share
        inner join {{ rules }} as rules
            on candidates.field = rules.field and candidates.agreement = rules.agreement
        group by candidates.customer_id, candidates.other_customer_id

    ),

    share_expected as (

        select
            (
                2 * coalesce(sum(match_probability), 0)
                + {{ var('duplicate_share') }} * {{ var('match_prior_customers') }}
            ) / (
                coalesce(max(customer_count), 0) + {{ var('match_prior_customers') }}
            ) as duplicate_share
        from pairs_expected

    ),

    agreements_expected as (

        select
            candidates.field,
            candidates.agreement,
            sum(pairs_expected.match_probability) as match_count
        from {{ candidates }} as candidates
        inner join pairs_expected
            on
                candidates.customer_id = pairs_expected.customer_id
                and candidates.other_customer_id = pairs_expected.other_customer_id
        group by candidates.field, candidates.agreement

    )

    select
        prior_rules.field,
        prior_rules.agreement,
        (
            coalesce(agreements_expected.match_count, 0)
            + {{ var('match_prior_matches') }} * prior_rules.m_probability
        ) / sum(
            coalesce(agreements_expected.match_count, 0)
            + {{ var('match_prior_matches') }} * prior_rules.m_probability
        ) over (partition by prior_rules.field) as m_probability,
        share_expected.duplicate_share
    from {{ prior_rules }} as prior_rules
    cross join share_expected
    left join agreements_expected
        on
            prior_rules.field = agreements_expected.field
            and prior_rules.agreement = agreements_expected.agreement
{%- endmacro %}
