"""Deduplication: which checked records are new, by the key and the load mode of the contract."""

from collections.abc import Sequence

import duckdb

from flows.config.contract import Contract
from flows.core.names import identifier, literal
from flows.lake.check import CHECKED

NEW_ROWS = "new_rows"
"""The relation of rows to append: the columns of `checked` less reasons and raw, then `_deleted`."""

STORED_MATCHES, BATCH_DUPLICATES, DUPLICATES = "stored_matches", "batch_duplicates", "duplicates"

REPLACED = "replaced"
"""The position of a tombstone whose key did not disappear."""


def deduplicate(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    extras: Sequence[str],
    stored: str | None,
    *,
    all_keys_seen: bool = True,
) -> int:
    """Make the relation `new_rows` from what passed the check; return how many conflicts there are.

    `stored` is SQL for the rows that the lake holds, or None if it holds none. A conflict is a key that came again
    with another payload and, for upserts, the same known cursor. Changes are looked up among stored rows from the
    batch's own smallest cursor value on; events among all, because a key may come again with another cursor. Without
    `all_keys_seen`, a full copy deletes nothing.
    """
    payload = [column.name for column in contract.columns] + list(extras)
    if contract.load == "full":
        return _full(connection, contract, payload, stored, all_keys_seen)
    _find_stored_matches(connection, contract, stored, payload)
    _find_batch_duplicates(connection, contract)
    find, conflicts = _append(contract, payload) if contract.load == "append" else _upsert(contract, payload)
    passed = f"select {_listed(payload)}, _row, _position, false as _deleted from {CHECKED} where _reasons is null"
    if not _has_rows(connection, STORED_MATCHES) and not _has_rows(connection, BATCH_DUPLICATES):
        connection.execute(f"create or replace temp view {NEW_ROWS} as {passed}")
        return 0
    connection.execute(f"create or replace temp table {DUPLICATES} as {find}")
    connection.execute(
        f"create or replace temp view {NEW_ROWS} as {passed} and _row not in (select _row from {DUPLICATES})"
    )
    return int(connection.execute(conflicts).fetchall()[0][0])


def _find_stored_matches(
    connection: duckdb.DuckDBPyConnection, contract: Contract, stored: str | None, payload: Sequence[str]
) -> None:
    """Make `stored_matches`: the stored rows that have a key of the batch.

    The batch is the side that DuckDB hashes: its smallest and largest key decide which row groups are read at all.
    """
    columns = _listed(payload)
    if stored is None:
        connection.execute(
            f"create or replace temp table {STORED_MATCHES} as select {columns} from {CHECKED} where false"
        )
        return
    connection.execute(
        f"create or replace temp table {STORED_MATCHES} as select {columns} from {stored} as stored "
        f"semi join (select {contract.key_sql} from {CHECKED} where _reasons is null) using ({contract.key_sql}) "
        f"where not _deleted{_bound(connection, contract)}"
    )


def _bound(connection: duckdb.DuckDBPyConnection, contract: Contract) -> str:
    """Return SQL that leaves out stored changes that are older than all of the batch: the same change is not."""
    if contract.load != "upsert" or not contract.cursor:
        return ""
    cursor = identifier(contract.cursor)
    sql = f"select cast(min({cursor}) as varchar) from {CHECKED} where _reasons is null"
    (smallest,) = connection.execute(sql).fetchall()[0]
    if smallest is None:
        return ""
    return f" and ({cursor} >= cast({literal(smallest)} as {contract.types[contract.cursor]}) or {cursor} is null)"


def _find_batch_duplicates(connection: duckdb.DuckDBPyConnection, contract: Contract) -> None:
    """Make `batch_duplicates`: keys, or for upserts states, of which the batch has more than one record."""
    columns = _listed(_state(contract))
    connection.execute(
        f"create or replace temp table {BATCH_DUPLICATES} as select {columns}, min(_row) as _first from {CHECKED} "
        f"where _reasons is null group by {columns} having count(*) > 1"
    )


def _state(contract: Contract) -> list[str]:
    """Return the columns of which there is one value a row: the key, and where a key has many states its cursor."""
    return [*contract.key, contract.cursor] if contract.load == "upsert" and contract.cursor else [*contract.key]


def _has_rows(connection: duckdb.DuckDBPyConnection, relation: str) -> bool:
    return bool(connection.execute(f"select 1 from {relation} limit 1").fetchall())


def _append(contract: Contract, payload: Sequence[str]) -> tuple[str, str]:
    """The first to arrive of a key stays."""
    columns, key = _listed(payload), contract.key_sql
    find = f"""
        select _row from {CHECKED} inner join {BATCH_DUPLICATES} using ({key}) where _reasons is null and _row > _first
        union
        select _row from {CHECKED} semi join {STORED_MATCHES} using ({key}) where _reasons is null
    """
    again = f"(select {columns} from {CHECKED} where _row in (select _row from {DUPLICATES}))"
    conflicts = f"""
        select count(*) from {again} as again
        where not exists (
            select 1 from (
                select {columns} from {STORED_MATCHES}
                union all
                select {columns} from {NEW_ROWS} semi join {again} using ({key})
            ) as kept
            where {_same("again", "kept", payload)}
        )
    """
    return find, conflicts


def _upsert(contract: Contract, payload: Sequence[str]) -> tuple[str, str]:
    """Each change of a key is kept; the same key, cursor and payload is known already."""
    state = _state(contract)
    find = f"""
        select _row from {CHECKED} as candidate
        semi join {BATCH_DUPLICATES} on {_same("candidate", BATCH_DUPLICATES, state)}
        where _reasons is null
        qualify row_number() over (partition by {_listed(payload)} order by _row) > 1
        union
        select _row from {CHECKED} as again
        where _reasons is null
            and exists (select 1 from {STORED_MATCHES} where {_same("again", STORED_MATCHES, payload)})
    """
    if contract.cursor is None:
        return find, "select 0"
    listed, is_known = _listed(state), f"{identifier(contract.cursor)} is not null"
    conflicts = f"""
        select count(*) from (
            select {listed} from {NEW_ROWS} where {is_known} group by all having count(*) > 1
            union
            select {listed} from {NEW_ROWS} as new_rows
            where {is_known}
                and exists (select 1 from {STORED_MATCHES} where {_same("new_rows", STORED_MATCHES, state)})
        )
    """
    return find, conflicts


def _full(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    payload: Sequence[str],
    stored: str | None,
    all_keys_seen: bool,
) -> int:
    """Compare a whole copy of the source with the current rows: changes are appended, what is gone leaves a tombstone.

    Of a key that comes twice in a copy the last stands. An empty copy deletes nothing: it is likelier a broken export.
    What a copy shows is so, even if its cursor does not say that it is newer: then a tombstone goes before it, because
    a key's history is ordered by cursor until the key disappears.
    """
    columns, key = _listed(payload), contract.key_sql
    current = (
        f"(select {columns}, _deleted from {stored} "
        f"qualify row_number() over (partition by {key} order by _batch desc, _row desc) = 1)"
        if stored
        else f"(select {columns}, false as _deleted from {CHECKED} where false)"
    )
    connection.execute(
        f"create or replace temp table current_rows as select * exclude (_deleted) from {current} where not _deleted"
    )
    connection.execute(
        f"create or replace temp table last_rows as select {columns}, _row, _position from {CHECKED} "
        f"where _reasons is null and _row in (select max(_row) from {CHECKED} where _reasons is null group by {key})"
    )
    does_not_move_on = "false"
    if contract.cursor:
        before, now = f"before.{identifier(contract.cursor)}", f"now.{identifier(contract.cursor)}"
        does_not_move_on = f"{before} is not null and ({now} is null or {now} < {before})"
    connection.execute(f"""
        create or replace temp table {NEW_ROWS} as
        select {columns}, _row, _position, false as _deleted
        from last_rows as new_rows
        where not exists (select 1 from current_rows where {_same("new_rows", "current_rows", payload)})
        union all by name
        select {_key_alone("gone", contract, payload)},
            null::bigint as _row, null::varchar as _position, true as _deleted
        from current_rows as gone
        where {"exists (select 1 from last_rows)" if all_keys_seen else "false"}
            and not exists (select 1 from {CHECKED} as seen where {_same("seen", "gone", contract.key)})
        union all by name
        select {_key_alone("before", contract, payload)},
            null::bigint as _row, {literal(REPLACED)} as _position, true as _deleted
        from current_rows as before
        inner join last_rows as now on {_same("before", "now", contract.key)}
        where {does_not_move_on}
    """)
    conflicts = connection.execute(f"""
        select count(*) from (
            select distinct {columns} from {CHECKED} where _reasons is null and _row not in (select _row from last_rows)
        ) as earlier
        where not exists (select 1 from last_rows where {_same("earlier", "last_rows", payload)})
    """).fetchall()
    return int(conflicts[0][0])


def _key_alone(relation: str, contract: Contract, payload: Sequence[str]) -> str:
    """List the payload as a tombstone has it: all but the key is null."""
    return ", ".join(
        f"{f'{relation}.{identifier(name)}' if name in contract.key else 'null'} as {identifier(name)}"
        for name in payload
    )


def _same(one: str, other: str, names: Sequence[str]) -> str:
    return " and ".join(f"{one}.{identifier(name)} is not distinct from {other}.{identifier(name)}" for name in names)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(identifier, names))
