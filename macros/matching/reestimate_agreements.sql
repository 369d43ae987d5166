{# One round of expectation and maximisation. Sums are of decimals, whose digits follow from no order of the rows. #}
{% macro reestimate_agreements(candidates, rules, prior_rules) -%}
    with share as (

        select max(duplicate_share) as duplicate_share
        from {{ rules }}

    ),

    pairs_expected as (

        select
            candidates.pattern,
            max(candidates.pairs_alike) as pairs_alike,
            max(candidates.customer_count) as customer_count,
            1 / (1 + power(2, -(
                max(log2(share.duplicate_share / candidates.customer_count))
                + cast(sum(cast(
                    {{ weigh_agreement('rules', 'candidates.sharing_count') }} as decimal(38, 15)
                )) as double)
            ))) as match_probability
        from {{ candidates }} as candidates
        cross join share
        inner join {{ rules }} as rules
            on
                candidates.field = rules.field
                and candidates.agreement = rules.agreement
                and candidates.given_field = rules.given_field
        group by candidates.pattern

    ),

    share_expected as (

        select
            (
                2 * coalesce(
                    cast(sum(cast(pairs_alike * match_probability as decimal(38, 20))) as double), 0
                )
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
            candidates.given_field,
            cast(sum(cast(
                pairs_expected.pairs_alike * pairs_expected.match_probability as decimal(38, 20)
            )) as double) as match_count,
            cast(sum(cast(
                pairs_expected.pairs_alike * (1 - pairs_expected.match_probability)
                as decimal(38, 20)
            )) as double) as other_count
        from {{ candidates }} as candidates
        inner join pairs_expected
            on candidates.pattern = pairs_expected.pattern
        group by candidates.field, candidates.agreement, candidates.given_field

    ),

    rules_counted as (

        select
            prior_rules.*,
            coalesce(agreements_expected.match_count, 0)
            + {{ var('match_prior_matches') }} * prior_rules.m_probability as match_count,
            coalesce(agreements_expected.other_count, 0) as other_count,
            sum(coalesce(agreements_expected.other_count, 0)) over (
                partition by prior_rules.field, prior_rules.given_field
            ) as all_other_count,
            -- Pairs of two people with an equal value; one more, since none may have been seen yet.
            max(
                case
                    when prior_rules.agreement = 'same' and prior_rules.given_field = 'none'
                        then (
                            greatest(
                                prior_rules.pair_count
                                - coalesce(agreements_expected.match_count, 0), 0
                            ) + 1
                        ) / (prior_rules.known_count * (prior_rules.known_count - 1) / 2 + 1)
                end
            ) over (partition by prior_rules.field) as same_share
        from {{ prior_rules }} as prior_rules
        left join agreements_expected
            on
                prior_rules.field = agreements_expected.field
                and prior_rules.agreement = agreements_expected.agreement
                and prior_rules.given_field = agreements_expected.given_field

    ),

    rules_shared as (

        select
            *,
            coalesce(u_probability / nullif(known_share, 0), same_share) as any_share
        from rules_counted

    )

    select
        rules_shared.field,
        rules_shared.agreement,
        rules_shared.given_field,
        rules_shared.match_count / sum(rules_shared.match_count) over (
            partition by rules_shared.field, rules_shared.given_field
        ) as m_probability,
        rules_shared.u_probability,
        -- A value that is new to the shop is as likely as equal values of two people are.
        rules_shared.known_share / greatest(
            rules_shared.known_count - 2 + 1 / rules_shared.same_share, 1
        ) as u_per_customer,
        case
            when rules_shared.given_field = 'none' then 1
            else greatest(
                (
                    rules_shared.other_count
                    + {{ var('match_prior_dependent_pairs') }} * rules_shared.any_share
                ) / (
                    rules_shared.all_other_count + {{ var('match_prior_dependent_pairs') }}
                ) / rules_shared.any_share, 1
            )
        end as u_lift,
        share_expected.duplicate_share
    from rules_shared
    cross join share_expected
{%- endmacro %}
