"""Deduplication: which checked records are new, by the key and the load mode of the contract."""

from dataclasses import dataclass

from flows.config.contract import Contract
from flows.core.names import identifier, literal
from flows.core.relation import Relation
from flows.lake.check import Checked
from flows.lake.states import has_no_cursor, has_tombstones, key_alone, listed, repeated_in_generations, same

NEW_ROWS = "new_rows"

REPLACED = "replaced"
"""The position of a tombstone whose key did not disappear."""


@dataclass(frozen=True)
class NewRows:
    """Rows to append: the contract's and the extra columns, then `_row`, `_position` and `_deleted`.

    A tombstone of a key that a full copy lacks has no `_row`; one that the source sent has that of its record.

    A conflict is a key that came again with another payload and, for upserts, the same known cursor. `current` is how
    many keys a full copy was compared with. `known` counts the records that the lake held, unchanged, before the load.
    """

    rows: Relation
    extras: tuple[str, ...] = ()
    conflicts: int = 0
    current: int = 0
    known: int = 0

    def count(self) -> tuple[int, int]:
        """Count the rows that a record made, and the tombstones of keys that disappeared."""
        rows, tombstones = self.rows.count(), self.rows.count("_deleted and _row is null")
        if not tombstones:  # to read positions takes longer than to count
            return rows, 0
        gone = f"_deleted and _row is null and _position is distinct from '{REPLACED}'"
        return rows - tombstones, self.rows.count(gone)


def deduplicate(
    checked: Checked, contract: Contract, stored: str | None, last_batch: int, *, all_keys_seen: bool = True
) -> NewRows:
    """Return the records that passed the check and are new.

    `stored` is SQL for the rows that the lake holds, or None if it holds none. Those up to `last_batch` were there
    before the load, and a record that repeats one of them is known. Changes are looked up among stored rows
    from the batch's own smallest cursor value on. Events are looked up among all rows, because a key may come again
    with another cursor. Without `all_keys_seen`, a full copy deletes nothing.
    """
    if contract.load == "full":
        return _full(checked, contract, stored, all_keys_seen)
    payload, records, connection = checked.payload(contract), checked.records, checked.records.connection
    matches = _stored_matches(checked, contract, stored, last_batch)
    repeated = _batch_duplicates(records, contract)
    passed = f"select {listed(payload)}, _row, _position, _deleted from {records} where _reasons is null"
    if contract.load == "upsert" and has_tombstones(records, contract, stored):
        again = repeated_in_generations(checked, contract, stored, last_batch)
        rows = Relation.view(connection, NEW_ROWS, f"{passed} and _row not in (select _row from {again})")
        return NewRows(rows, checked.extras, _upsert_conflicts(contract, matches, rows), known=again.count("_is_known"))
    if not _has_rows(matches) and not _has_rows(repeated):
        return NewRows(Relation.view(connection, NEW_ROWS, passed), checked.extras)
    stored_again = _stored_again(checked, contract, matches)
    current = matches
    if contract.load == "append":
        found = _append_duplicates(checked, contract, matches, repeated)
    else:
        current = _current_states(checked, contract, stored, last_batch)
        found = _states_that_stay(checked, contract, current, repeated)
        found += f" union select _row from {stored_again}"
        if contract.cursor:
            found += f" union {_upsert_duplicates(checked, contract, repeated)}"
    duplicates = Relation.table(connection, "duplicates", found)
    rows = Relation.view(connection, NEW_ROWS, f"{passed} and _row not in (select _row from {duplicates})")
    known = _known_records(checked, contract, stored_again, current, duplicates, rows)
    if contract.load == "append":
        conflicts = _append_conflicts(checked, contract, matches, duplicates, known, rows)
    else:
        conflicts = _upsert_conflicts(contract, matches, rows)
    return NewRows(rows, checked.extras, conflicts, known=known.count())


def _stored_matches(checked: Checked, contract: Contract, stored: str | None, last_batch: int) -> Relation:
    """Return the stored rows that have a key of the batch, each with `_was_stored`: whether it is older than the load.

    The batch is the side that DuckDB hashes: its smallest and largest key decide which row groups are read at all.
    """
    records, key = checked.records, contract.key_sql
    matches, was_stored = f"{records} where false", "false"
    if stored is not None:
        was_stored = f"_batch <= {last_batch}"
        matches = (
            f"{stored} as stored semi join (select {key} from {records} where _reasons is null) using ({key}) "
            f"where not _deleted{_lower_bound(records, contract)}"
        )
    query = f"select {listed(checked.payload(contract))}, {was_stored} as _was_stored from {matches}"
    return Relation.table(records.connection, "stored_matches", query)


def _lower_bound(records: Relation, contract: Contract) -> str:
    """Return SQL that leaves out stored changes that are older than all of the batch: the same change is not."""
    if contract.load != "upsert" or not contract.cursor:
        return ""
    cursor = identifier(contract.cursor)
    sql = f"select cast(min({cursor}) as varchar) from {records} where _reasons is null"
    (smallest,) = records.connection.execute(sql).fetchall()[0]
    if smallest is None:
        return ""
    return f" and ({cursor} >= cast({literal(smallest)} as {contract.types[contract.cursor]}) or {cursor} is null)"


def _batch_duplicates(records: Relation, contract: Contract) -> Relation:
    """Return keys, or for upserts states, of which the batch has more than one record."""
    state = listed(_state(contract))
    query = f"select {state}, min(_row) as _first from {records} where _reasons is null group by {state}"
    return Relation.table(records.connection, "batch_duplicates", f"{query} having count(*) > 1")


def _state(contract: Contract) -> list[str]:
    """Return the columns of which there is one value a row: the key, and where a key has many states its cursor."""
    return [*contract.key, contract.cursor] if contract.load == "upsert" and contract.cursor else [*contract.key]


def _has_rows(relation: Relation) -> bool:
    return bool(relation.connection.execute(f"select 1 from {relation} limit 1").fetchall())


def _append_duplicates(checked: Checked, contract: Contract, matches: Relation, repeated: Relation) -> str:
    """Find all records of a key but the first to arrive."""
    key, records = contract.key_sql, checked.records
    return f"""
        select _row from {records} inner join {repeated} using ({key}) where _reasons is null and _row > _first
        union
        select _row from {records} semi join {matches} using ({key}) where _reasons is null
    """


def _stored_again(checked: Checked, contract: Contract, matches: Relation) -> Relation:
    """Return the records that repeat a stored row, and whether one was stored before the load.

    Those that nothing but their arrival orders are left out: the state before them decides.
    """
    by_cursor = f"not ({has_no_cursor(contract)})" if contract.load == "upsert" else "true"
    query = f"""
        select again._row, bool_or(stored._was_stored) as _was_stored
        from (from {checked.records} where _reasons is null and {by_cursor}) as again
        inner join {matches} as stored on {same("again", "stored", checked.payload(contract))}
        group by again._row
    """
    return Relation.table(checked.records.connection, "stored_again", query)


def _known_records(
    checked: Checked,
    contract: Contract,
    stored_again: Relation,
    current: Relation,
    duplicates: Relation,
    rows: Relation,
) -> Relation:
    """Return the duplicates that repeat a row from before the load.

    Where arrival orders the states of a key, that row is its current state, and no other state came before the record.
    """
    known = f"select _row from {stored_again} where _was_stored"
    if contract.load == "upsert":
        by_arrival, payload = has_no_cursor(contract), checked.payload(contract)
        unchanged = f"_was_stored and not _deleted and {same('again', 'stored', payload)}"
        earlier = f"changed._row < again._row and {same('again', 'changed', contract.key)}"
        known = f"""
            {known}
            union all
            select _row
            from (from {checked.records} where {by_arrival} and _row in (select _row from {duplicates})) as again
            where exists (select 1 from {current} as stored where {unchanged})
                and not exists (select 1 from (from {rows} where {by_arrival}) as changed where {earlier})
        """
    return Relation.table(checked.records.connection, "known_records", known)


def _append_conflicts(
    checked: Checked, contract: Contract, matches: Relation, duplicates: Relation, known: Relation, rows: Relation
) -> int:
    payload, key = checked.payload(contract), contract.key_sql
    columns = listed(payload)
    others = f"select _row from {duplicates} anti join {known} using (_row)"
    again = f"(select {columns} from {checked.records} where _row in ({others}))"
    return _count(
        rows,
        f"""
        select * from {again} as again
        where not exists (
            select 1 from (
                select {columns} from {matches}
                union all
                select {columns} from {rows} semi join {again} using ({key})
            ) as kept
            where {same("again", "kept", payload)}
        )
        """,
    )


def _upsert_duplicates(checked: Checked, contract: Contract, repeated: Relation) -> str:
    """Find changes that the batch repeats: the same key, cursor and payload."""
    payload, is_known = checked.payload(contract), f"{identifier(str(contract.cursor))} is not null"
    return f"""
        select _row from {checked.records} as candidate
        semi join {repeated} as repeated on {same("candidate", "repeated", _state(contract))}
        where _reasons is null and {is_known}
        qualify row_number() over (partition by {listed(payload)} order by _row) > 1
    """


def _current_states(checked: Checked, contract: Contract, stored: str | None, last_batch: int) -> Relation:
    """Return the last stored row of each key of the batch, among those that nothing but their arrival orders."""
    records, columns, key = checked.records, listed(checked.payload(contract)), contract.key_sql
    query = f"select {columns}, false as _deleted, false as _was_stored from {records} where false"
    if stored is not None:
        query = (
            f"select {columns}, _deleted, _batch <= {last_batch} as _was_stored from {stored} as stored "
            f"semi join (select {key} from {records} where _reasons is null) using ({key}) "
            f"where {has_no_cursor(contract)} "
            f"qualify row_number() over (partition by {key} order by _batch desc, _row desc) = 1"
        )
    return Relation.table(records.connection, "current_states", query)


def _states_that_stay(checked: Checked, contract: Contract, current: Relation, repeated: Relation) -> str:
    """Find records without a cursor that say what the record before them says, by arrival.

    A state that comes back after another one is a change: A, B, A are three rows.
    """
    payload, key = checked.payload(contract), contract.key_sql
    columns, state = listed(payload), f"struct_pack({', '.join(map(identifier, payload))})"
    records = f"(from {checked.records} where _reasons is null and {has_no_cursor(contract)})"
    return f"""
        select _row from {records} as candidate anti join {repeated} as repeated using ({key})
        where exists (
            select 1 from {current} as before where not _deleted and {same("candidate", "before", payload)}
        )
        union
        select _row from (
            select
                _row,
                {state} is not distinct from lag({state}) over by_arrival as is_same,
                lag(_deleted, 1, true) over by_arrival as was_deleted
            from (
                select {columns}, _row, false as _deleted from {records}
                union all by name
                select {columns}, 0 as _row, _deleted from {current}
            ) as arrivals
            semi join {repeated} as repeated using ({key})
            window by_arrival as (partition by {key} order by _row)
        )
        where _row > 0 and is_same and not was_deleted
    """


def _upsert_conflicts(contract: Contract, matches: Relation, rows: Relation) -> int:
    if contract.cursor is None:
        return 0
    state, is_known = _state(contract), f"{identifier(contract.cursor)} is not null"
    return _count(
        rows,
        f"""
        select {listed(state)} from {rows} where {is_known} group by all having count(*) > 1
        union
        select {listed(state)} from {rows} as new_rows
        where {is_known} and exists (select 1 from {matches} as stored where {same("new_rows", "stored", state)})
        """,
    )


def _full(checked: Checked, contract: Contract, stored: str | None, all_keys_seen: bool) -> NewRows:
    """Compare a whole copy of the source with the current rows: changes are appended, what is gone leaves a tombstone.

    Of a key that comes twice in a copy the last record counts. An empty copy deletes nothing: it is likelier a broken
    export. A copy is right even if its cursor does not rise. Then a tombstone goes before it, because a key's history
    is ordered by cursor until the key disappears.
    """
    payload, records = checked.payload(contract), checked.records
    connection, columns, key = records.connection, listed(payload), contract.key_sql
    current = _current_rows(checked, contract, stored)
    last = Relation.table(
        connection,
        "last_rows",
        f"select {columns}, _row, _position from {records} "
        f"where _reasons is null and not _deleted "
        f"and _row in (select max(_row) from {records} where _reasons is null group by {key})",
    )
    ended = f"select {key} from {records} where _reasons is null group by {key} having arg_max(_deleted, _row)"
    does_not_rise = "false"
    if contract.cursor:
        before, now = f"before.{identifier(contract.cursor)}", f"now.{identifier(contract.cursor)}"
        does_not_rise = f"{before} is not null and ({now} is null or {now} < {before})"
    rows = f"""
        select {columns}, _row, _position, false as _deleted
        from {last} as seen
        where not exists (select 1 from {current} as before where {same("seen", "before", payload)})
        union all by name
        select {key_alone("gone", contract, payload)},
            null::bigint as _row, null::varchar as _position, true as _deleted
        from {current} as gone
        where {f"exists (select 1 from {last})" if all_keys_seen else "false"}
            and not exists (
                select 1 from (from {records} anti join ({ended}) using ({key})) as seen
                where {same("seen", "gone", contract.key)}
            )
        union all by name
        select {key_alone("before", contract, payload)},
            null::bigint as _row, {literal(REPLACED)} as _position, true as _deleted
        from {current} as before
        inner join {last} as now on {same("before", "now", contract.key)}
        where {does_not_rise}
    """
    overtaken = f"""
        select distinct {columns} from {records} as earlier
        where _reasons is null and not _deleted and _row not in (select _row from {last})
            and not exists (select 1 from {last} as seen where {same("earlier", "seen", payload)})
    """
    known = f"""
        select 1 from {records} as seen where _reasons is null and not _deleted
            and exists (select 1 from {current} as before where {same("seen", "before", payload)})
    """
    conflicts, keys = _count(records, overtaken), current.count()
    new_rows = Relation.table(connection, NEW_ROWS, rows)
    return NewRows(new_rows, checked.extras, conflicts, keys, _count(records, known))


def _current_rows(checked: Checked, contract: Contract, stored: str | None) -> Relation:
    """Return the last stored row of each key that is not deleted."""
    columns = listed(checked.payload(contract))
    latest = (
        f"select {columns}, _deleted from {stored} "
        f"qualify row_number() over (partition by {contract.key_sql} order by _batch desc, _row desc) = 1"
        if stored
        else f"select {columns}, false as _deleted from {checked.records} where false"
    )
    query = f"select * exclude (_deleted) from ({latest}) where not _deleted"
    return Relation.table(checked.records.connection, "current_rows", query)


def _count(relation: Relation, query: str) -> int:
    return int(relation.connection.execute(f"select count(*) from ({query})").fetchall()[0][0])
