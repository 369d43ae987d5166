with ordered_changes as (

    {{ date_changes(
        'graph.edges',
        key=['graph', 'from_node_label', 'from_entity_id', 'to_node_label', 'to_entity_id'],
        happened_at='coalesce(updated_at, connected_at)',
        began_at='coalesce(connected_at, updated_at)',
    ) }}

),

-- An edge without a time is known from its arrival, in a first load too: it may be new.
stg_graph__edge_history as (

    select
        graph,
        from_node_label,
        from_entity_id,
        to_node_label,
        to_entity_id,
        coalesce(weight, 1) as weight,
        _change_number as change_number,
        coalesce(is_directed, true) as is_directed,
        _is_tombstone as is_deleted,
        connected_at,
        _changed_at as changed_at,
        case
            when _happened_at is null then greatest(_known_at, _loaded_at)
            else _known_at
        end as known_at,
        case
            when _happened_at is null then greatest(_began_known_at, _loaded_at)
            else _began_known_at
        end as connected_known_at,
        _loaded_at,
        _is_backfill
    from ordered_changes

)

select * from stg_graph__edge_history
