with ordered_changes as (

    {{ order_changes('equipment.maintenance', key='maintenance_id') }}

),

-- It is unknown when a state of a backfill was entered: the start of a job counts as known when it
-- started, and its end when it ended.
states_known as (

    select
        maintenance_id,
        unit_id,
        kind,
        started_at,
        case when not _is_tombstone then ended_at end as ended_at,
        _is_tombstone,
        _change_number,
        case
            when _is_backfill then coalesce(ended_at, started_at)
            else _loaded_at
        end as known_at
    from ordered_changes

    union all

    select
        maintenance_id,
        unit_id,
        kind,
        started_at,
        null as ended_at,
        _is_tombstone,
        _change_number,
        started_at as known_at
    from ordered_changes
    where _is_backfill and ended_at > started_at and not _is_tombstone

),

-- A state that was known when a later one of the job was known already says nothing.
states_followed as (

    select
        *,
        min(known_at) over (
            partition by maintenance_id order by _change_number, known_at
            rows between 1 following and unbounded following
        ) as next_known_at
    from states_known

),

int_maintenance_states as (

    select
        maintenance_id,
        unit_id,
        kind as maintenance_kind,
        started_at,
        ended_at,
        known_at as valid_from,
        coalesce(next_known_at, {{ end_of_time() }}) as valid_to
    from states_followed
    where not _is_tombstone and known_at < coalesce(next_known_at, {{ end_of_time() }})

)

select * from int_maintenance_states
