with dim_unit as (

    select * from {{ ref('dim_unit') }}

),

readings_cleaned as (

    select * from {{ ref('int_readings_cleaned') }}

),

cold_chain_limits as (

    select * from {{ ref('cold_chain_limits') }}

),

units_read as (

    select distinct unit_id
    from readings_cleaned

),

-- Goods in a unit that is not registered spoil as well.
unit_versions as (

    select
        unit_key,
        unit_id,
        model,
        valid_from,
        valid_to
    from dim_unit
    where unit_id is not null

    union all

    select
        {{ unknown_key() }} as unit_key,
        units_read.unit_id,
        null as model,
        {{ beginning_of_time() }} as valid_from,
        {{ end_of_time() }} as valid_to
    from units_read
    where units_read.unit_id not in (
        select dim_unit.unit_id from dim_unit
        where dim_unit.unit_id is not null
    )

),

quantities as (

    select distinct quantity
    from cold_chain_limits

),

limits_wanted as (

    select
        unit_versions.*,
        quantities.quantity
    from unit_versions
    cross join quantities

),

limits_chosen as (

    {{ choose_rules('limits_wanted', 'cold_chain_limits', [
        'lowest_allowed', 'highest_allowed', 'breach_minutes', 'recovery_minutes',
        'longest_silence_minutes',
    ]) | indent(4) }}

),

int_unit_limits as (

    select
        unit_key,
        unit_id,
        quantity,
        lowest_allowed,
        highest_allowed,
        coalesce(breach_minutes, 0) as breach_minutes,
        coalesce(recovery_minutes, 0) as recovery_minutes,
        coalesce(longest_silence_minutes, 0) as longest_silence_minutes,
        valid_from,
        valid_to
    from limits_chosen
    where lowest_allowed is not null or highest_allowed is not null

)

select * from int_unit_limits
