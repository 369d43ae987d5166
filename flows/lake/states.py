"""States of keys in the order of their arrival: a tombstone ends a generation of its key and begins the next."""

from collections.abc import Sequence

from flows.config.contract import Contract
from flows.core.names import identifier
from flows.core.relation import Relation
from flows.lake.check import Checked


def listed(names: Sequence[str]) -> str:
    """Return SQL for a list of columns."""
    return ", ".join(map(identifier, names))


def same(one: str, other: str, names: Sequence[str]) -> str:
    """Return SQL for whether two relations have the same values in columns; null is like null."""
    return " and ".join(f"{one}.{identifier(name)} is not distinct from {other}.{identifier(name)}" for name in names)


def key_alone(relation: str, contract: Contract, payload: Sequence[str]) -> str:
    """List the payload as a tombstone has it: all but the key is null."""
    return ", ".join(
        f"{f'{relation}.{identifier(name)}' if name in contract.key else 'null'} as {identifier(name)}"
        for name in payload
    )


def has_no_cursor(contract: Contract) -> str:
    """Return SQL for whether a record has no cursor, so that its arrival alone orders it."""
    return f"{identifier(contract.cursor)} is null" if contract.cursor else "true"


def has_tombstones(records: Relation, contract: Contract, stored: str | None) -> bool:
    """Tell whether a batch has tombstones, or any of its keys has one among the stored rows."""
    key = contract.key_sql
    found = f"select 1 from {records} where _deleted and _reasons is null"
    if stored is not None:
        keys = f"select {key} from {records} where _reasons is null"
        found += f" union all select 1 from {stored} as stored semi join ({keys}) using ({key}) where _deleted"
    return bool(records.connection.execute(f"{found} limit 1").fetchall())


def repeated_in_generations(checked: Checked, contract: Contract, stored: str | None, last_batch: int) -> Relation:
    """Return the records that say nothing new of their key, and whether what they repeat was there before the load.

    A state is new if its generation does not have it yet; without a cursor, if the state before it is another one. A
    tombstone is new unless the key is deleted already. Columns: `_row` and `_is_known`.
    """
    payload = checked.payload(contract)
    columns, key, state = listed(payload), contract.key_sql, f"struct_pack({listed(payload)})"
    query = f"""
        with arrivals as (
            {_arrivals(checked, contract, stored, last_batch)}
        ),
        counted as (
            select
                *,
                count(*) filter (where _deleted) over by_arrival as _generation,
                lag(_deleted, 1, false) over by_arrival as _ended_before,
                lag(_was_stored, 1, false) over by_arrival as _stored_before
            from arrivals
            window by_arrival as (partition by {key} order by _is_new, _batch, _row)
        ),
        compared as (
            select
                *,
                row_number() over of_state > 1 as _came_before,
                bool_or(_was_stored) over of_state as _is_stored_state,
                {state} is not distinct from lag({state}) over without_cursor as _stays,
                lag(_was_stored, 1, false) over without_cursor as _stays_stored
            from counted
            window
                of_state as (partition by {columns}, _deleted, _generation order by _is_new, _batch, _row),
                without_cursor as (
                    partition by {key}, _generation, _deleted, {has_no_cursor(contract)} order by _is_new, _batch, _row
                )
        ),
        decided as (
            select
                _row,
                _is_new,
                case
                    when _deleted then _ended_before
                    when {has_no_cursor(contract)} then _stays and _came_before
                    else _came_before
                end as _is_repeated,
                case
                    when _deleted then _stored_before
                    when {has_no_cursor(contract)} then _stays_stored
                    else _is_stored_state
                end as _is_known
            from compared
        )
        select _row, _is_known from decided where _is_new and _is_repeated
    """
    return Relation.table(checked.records.connection, "repeated_records", query)


def _arrivals(checked: Checked, contract: Contract, stored: str | None, last_batch: int) -> str:
    """Return SQL for the stored rows of a batch's keys, and the records of the batch after them."""
    records, columns, key = checked.records, listed(checked.payload(contract)), contract.key_sql
    new = (
        f"select {columns}, _deleted, {last_batch} + 1 as _batch, _row, false as _was_stored, true as _is_new "
        f"from {records} where _reasons is null"
    )
    if stored is None:
        return new
    return (
        f"select {columns}, _deleted, _batch, _row, _batch <= {last_batch} as _was_stored, false as _is_new "
        f"from {stored} as stored semi join (select {key} from {records} where _reasons is null) using ({key}) "
        f"union all by name {new}"
    )
