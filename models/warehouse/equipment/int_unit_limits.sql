with dim_unit as (

    select * from {{ ref('dim_unit') }}

),

cold_chain_limits as (

    select * from {{ ref('cold_chain_limits') }}

),

limits_ranked as (

    select
        dim_unit.unit_key,
        dim_unit.unit_id,
        cold_chain_limits.quantity,
        cold_chain_limits.lowest_allowed,
        cold_chain_limits.highest_allowed,
        cold_chain_limits.breach_minutes,
        cold_chain_limits.recovery_minutes,
        dim_unit.valid_from,
        dim_unit.valid_to,
        row_number() over (
            partition by dim_unit.unit_key, cold_chain_limits.quantity
            order by case when cold_chain_limits.model = '*' then 1 else 0 end
        ) as limit_rank
    from dim_unit
    inner join cold_chain_limits
        on cold_chain_limits.model = '*' or dim_unit.model = cold_chain_limits.model
    where dim_unit.unit_id is not null

),

int_unit_limits as (

    select
        unit_key,
        unit_id,
        quantity,
        lowest_allowed,
        highest_allowed,
        breach_minutes,
        recovery_minutes,
        valid_from,
        valid_to
    from limits_ranked
    where limit_rank = 1

)

select * from int_unit_limits
