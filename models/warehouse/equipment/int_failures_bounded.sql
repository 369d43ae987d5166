with maintenance as (

    select * from {{ ref('stg_equipment__maintenance') }}

),

failures_united as (

    select
        unit_id,
        started_at,
        max(coalesce(ended_at, {{ end_of_time() }})) as ended_at,
        max(_loaded_at) as _loaded_at,
        min(_is_backfill) as _is_backfill
    from maintenance
    where maintenance_kind = 'failure'
    group by unit_id, started_at

),

failures_followed as (

    select
        *,
        lag(started_at, 1, {{ beginning_of_time() }}) over failures_of_unit
            as previous_started_at,
        lead(started_at, 1, {{ end_of_time() }}) over failures_of_unit as next_started_at
    from failures_united
    window failures_of_unit as (partition by unit_id order by started_at)

),

-- A unit that breaks down again worked before, though no record says since when.
failures_ended as (

    select
        unit_id,
        case when ended_at = {{ end_of_time() }} then next_started_at else ended_at end as ended_at,
        previous_started_at,
        started_at,
        next_started_at,
        _loaded_at,
        _is_backfill
    from failures_followed

),

failures_compared as (

    select
        *,
        case
            when
                max(ended_at) over (
                    partition by unit_id order by started_at
                    rows between unbounded preceding and 1 preceding
                ) > started_at
                then 0
            else 1
        end as begins
    from failures_ended

),

repairs_numbered as (

    select
        *,
        sum(begins) over (
            partition by unit_id order by started_at
            rows between unbounded preceding and current row
        ) as repair_number
    from failures_compared

),

int_failures_bounded as (

    select
        unit_id,
        previous_started_at,
        started_at,
        next_started_at,
        max(ended_at) over repair_to_now as in_repair_until,
        max(_loaded_at) over repair_to_now as _loaded_at,
        min(_is_backfill) over repair_to_now as _is_backfill
    from repairs_numbered
    window
        repair_to_now as (
            partition by unit_id, repair_number order by started_at
            rows between unbounded preceding and current row
        )

)

select * from int_failures_bounded
