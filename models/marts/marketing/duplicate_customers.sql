with recursive duplicate_customer_pairs as (

    select * from {{ ref('duplicate_customer_pairs') }}

),

dim_customer as (

    select * from {{ ref('dim_customer') }}

),

links as (

    select
        customer_id,
        other_customer_id,
        agreeing_fields,
        match_weight,
        match_probability
    from duplicate_customer_pairs

    union all

    select
        other_customer_id as customer_id,
        customer_id as other_customer_id,
        agreeing_fields,
        match_weight,
        match_probability
    from duplicate_customer_pairs

),

-- Accounts that are linked through a third one belong to the same person.
accounts_reached as (

    select
        customer_id,
        customer_id as account_id
    from links

    union

    select
        accounts_reached.customer_id,
        links.other_customer_id as account_id
    from accounts_reached
    inner join links on accounts_reached.account_id = links.customer_id

),

accounts_ranked as (

    select
        accounts_reached.customer_id,
        accounts_reached.account_id,
        count(*) over (partition by accounts_reached.customer_id) as account_count,
        row_number() over (
            partition by accounts_reached.customer_id
            order by dim_customer.registered_at asc nulls last, accounts_reached.account_id asc
        ) as account_rank
    from accounts_reached
    left join dim_customer
        on accounts_reached.account_id = dim_customer.customer_id and dim_customer.is_current

),

links_ranked as (

    select
        customer_id,
        other_customer_id,
        agreeing_fields,
        match_probability,
        row_number() over (
            partition by customer_id
            order by match_weight desc, other_customer_id asc
        ) as link_rank
    from links

),

duplicate_customers as (

    select
        accounts_ranked.customer_id,
        accounts_ranked.account_id as surviving_customer_id,
        links_ranked.other_customer_id as closest_customer_id,
        links_ranked.agreeing_fields,
        links_ranked.match_probability,
        accounts_ranked.account_count,
        accounts_ranked.customer_id = accounts_ranked.account_id as is_surviving
    from accounts_ranked
    inner join links_ranked
        on
            accounts_ranked.customer_id = links_ranked.customer_id
            and links_ranked.link_rank = 1
    where accounts_ranked.account_rank = 1

)

select * from duplicate_customers
