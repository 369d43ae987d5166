with maintenance as (

    select * from {{ ref('stg_equipment__maintenance') }}

),

failures_united as (

    select
        unit_id,
        count(*) as ticket_count,
        count(ended_at) = count(*) as is_closed,
        started_at,
        max(coalesce(ended_at, {{ end_of_time() }})) as ended_at,
        max(_loaded_at) as _loaded_at,
        min(_is_backfill) as _is_backfill
    from maintenance
    where maintenance_kind = 'failure' and unit_id is not null
    group by unit_id, started_at

),

-- A unit that breaks down again worked before, though no record says since when.
failures_ended as (

    select
        *,
        case
            when ended_at = {{ end_of_time() }}
                then
                    lead(started_at, 1, {{ end_of_time() }}) over (
                        partition by unit_id
                        order by started_at
                    )
            else ended_at
        end as worked_at
    from failures_united

),

failures_compared as (

    select
        *,
        case
            when
                max(worked_at) over (
                    partition by unit_id order by started_at
                    rows between unbounded preceding and 1 preceding
                ) > started_at
                then 0
            else 1
        end as begins
    from failures_ended

),

failures_numbered as (

    select
        *,
        sum(begins) over (
            partition by unit_id order by started_at
            rows between unbounded preceding and current row
        ) as failure_number
    from failures_compared

),

failures_merged as (

    select
        unit_id,
        cast(sum(ticket_count) as bigint) as ticket_count,
        bool_and(is_closed) as is_closed,
        min(started_at) as started_at,
        max(worked_at) as in_repair_until,
        max(_loaded_at) as _loaded_at,
        min(_is_backfill) as _is_backfill
    from failures_numbered
    group by unit_id, failure_number

),

int_failures_bounded as (

    select
        unit_id,
        ticket_count,
        is_closed,
        lag(started_at, 1, {{ beginning_of_time() }}) over failures_of_unit as previous_started_at,
        started_at,
        lead(started_at, 1, {{ end_of_time() }}) over failures_of_unit as next_started_at,
        in_repair_until,
        _loaded_at,
        _is_backfill
    from failures_merged
    window failures_of_unit as (partition by unit_id order by started_at)

)

select * from int_failures_bounded
