"""What of a batch is new: by the key and what the contract's load says a row is."""

from collections.abc import Sequence

import duckdb

from flows.lake.check import CHECKED
from flows.lake.contract import Contract
from flows.names import identifier, literal

FRESH = "fresh"
"""The relation of rows to append: the columns of `checked` less reasons and raw, then `_deleted`."""

STORED = "stored"

REPLACED = "replaced"
"""The position of a tombstone whose key did not disappear."""


def keep_fresh(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    extras: Sequence[str],
    stored: str | None,
    *,
    all_keys_seen: bool = True,
) -> int:
    """Make the relation `fresh` from what passed the check; return how many conflicts there are.

    `stored` is SQL for the rows that the lake holds, or None if it holds none. A conflict is a key that came again
    with another payload and, for upserts, the same known cursor. Changes are looked up among stored rows from the
    batch's own smallest cursor value on, so that a large history is not scanned for a small batch; events among all
    keys, because a key may come again with another cursor. Without `all_keys_seen`, a full copy deletes nothing.
    """
    payload = [column.name for column in contract.columns] + list(extras)
    match contract.load:
        case "append":
            sql, conflicts = _append(contract, payload)
        case "upsert":
            sql, conflicts = _upsert(contract, payload)
        case "full":
            return _full(connection, contract, payload, stored, all_keys_seen)
    _bound(connection, contract, stored, _listed(payload))
    connection.execute(sql)
    return int(connection.execute(conflicts).fetchall()[0][0])


def _bound(connection: duckdb.DuckDBPyConnection, contract: Contract, stored: str | None, columns: str) -> None:
    """Make `stored`: the rows among which a duplicate can be."""
    source = stored or f"(select {columns}, null::bigint as _batch, _row, false as _deleted from {CHECKED} where false)"
    bound = ""
    if stored and contract.cursor and contract.load == "upsert":
        cursor = identifier(contract.cursor)
        (smallest,) = connection.execute(
            f"select cast(min({cursor}) as varchar) from {CHECKED} where _reasons is null"
        ).fetchall()[0]
        if smallest is not None:
            kind = contract.types[contract.cursor]
            bound = f" and ({cursor} >= cast({literal(smallest)} as {kind}) or {cursor} is null)"
    connection.execute(f"create or replace temp view {STORED} as select * from {source} where not _deleted{bound}")


def _append(contract: Contract, payload: Sequence[str]) -> tuple[str, str]:
    """The first to arrive of a key stays."""
    columns = _listed(payload)
    using = _same("new_rows", STORED, contract.key)
    fresh = f"""
        create or replace temp table {FRESH} as
        select {columns}, _row, _position, false as _deleted
        from {CHECKED} as new_rows
        where _reasons is null
            and _row in (select min(_row) from {CHECKED} where _reasons is null group by {contract.key_sql})
            and not exists (select 1 from {STORED} where {using})
    """
    kept = f"(select {columns} from {STORED} union all select {columns} from {FRESH})"
    conflicts = f"""
        select count(*) from (
            select {columns} from {CHECKED} where _reasons is null and _row not in (select _row from {FRESH})
        ) as again
        where not exists (
            select 1 from {kept} as kept where {_same("again", "kept", payload)}
        )
    """
    return fresh, conflicts


def _upsert(contract: Contract, payload: Sequence[str]) -> tuple[str, str]:
    """Each change of a key is kept; the same key, cursor and payload is known already."""
    columns = _listed(payload)
    fresh = f"""
        create or replace temp table {FRESH} as
        select {columns}, _row, _position, false as _deleted
        from {CHECKED} as new_rows
        where _reasons is null
            and _row in (select min(_row) from {CHECKED} where _reasons is null group by {columns})
            and not exists (select 1 from {STORED} where {_same("new_rows", STORED, payload)})
    """
    if contract.cursor is None:
        return fresh, "select 0"
    state = [*contract.key, contract.cursor]
    listed, is_known = _listed(state), f"{identifier(contract.cursor)} is not null"
    conflicts = f"""
        select count(*) from (
            select {listed} from {FRESH} where {is_known} group by all having count(*) > 1
            union
            select {listed} from {FRESH} as new_rows
            where {is_known} and exists (select 1 from {STORED} where {_same("new_rows", STORED, state)})
        )
    """
    return fresh, conflicts


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
        create or replace temp table {FRESH} as
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
