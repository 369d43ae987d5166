"""Records in quarantine on their way back: restored as they came, and rechecked by what the lake has learnt since."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from flows.config.contract import Contract
from flows.core.names import identifier, literal
from flows.core.relation import Relation
from flows.lake.casts import is_nested
from flows.lake.check import CHECKED, SEPARATOR, replace_checked
from flows.lake.quarantine import RecordSchema
from flows.lake.tables import LakeTable
from flows.sources.json_records import json_pointer, keep_digits

RECHECKED = "rechecked"
"""The relation that `recheck` makes: `_hash` and `_row` of each record that was checked again, `_reasons` (a list, null
if it passes), and `is_known`: whether it passes and the lake holds the very same."""

CAME_AGAIN = "its key came again since, so what it says is not the newest"
HASH_LENGTH = 64
LANDED = pa.schema([("_record", pa.string()), ("_file", pa.string()), ("_hash", pa.string()), ("_came", pa.int64())])


@dataclass(frozen=True)
class QuarantinedRecords:
    """Records in quarantine of one form; `form` is None if they could not be read as records."""

    form: RecordSchema | None
    is_backfill: bool
    records: int
    where: str


def quarantined_records(connection: duckdb.DuckDBPyConnection, table: LakeTable, key: str) -> list[QuarantinedRecords]:
    """Return what is in quarantine, by form, and by whether it came before the table's first load was complete."""
    quarantined, stored = table.quarantined(), table.stored([key])
    if quarantined is None:
        return []
    second = f"(select min(_batch) from {stored} where not _is_backfill)" if stored else "null"
    came_first = f"coalesce(_batch < {second}, true)"
    groups = connection.execute(
        f"select _schema, {came_first} as is_backfill, count(*) from {quarantined} group by all order by min(_batch)"
    ).fetchall()
    return [
        QuarantinedRecords(
            RecordSchema.parse(form) if form else None,
            is_backfill,
            records,
            f"_schema is not distinct from {literal(form) if form else 'null'} and {came_first} = {is_backfill}",
        )
        for form, is_backfill, records in groups
    ]


def restore(connection: duckdb.DuckDBPyConnection, table: LakeTable, quarantined: QuarantinedRecords) -> Relation:
    """Return records in quarantine as a source would give them, with the types that they came with.

    `_file` is a record's hash and the place where it stood. What cannot be restored exactly is left out.
    """
    assert quarantined.form is not None, "what could not be read as a record has no columns"
    records = f"{table.quarantined()} where {quarantined.where} order by _batch, _row"
    sql = f"select _raw, _hash, _position, _batch from {records}"
    connection.register("arrow_quarantined", pa.RecordBatchReader.from_batches(LANDED, _records(sql)))
    connection.execute("create or replace temp table quarantined as select * from arrow_quarantined")
    connection.unregister("arrow_quarantined")
    columns, losses = [], ["false"]
    for name, kind in quarantined.form.columns.items():
        path = literal(json_pointer([name]))
        text = f"json_extract_string(_record, {path})"
        value = f"json_extract(_record, {path})" if is_nested(kind) or kind == "JSON" else text
        columns.append(f"try_cast({value} as {kind}) as {identifier(name)}, ")
        losses.append(f"({text} is not null and try_cast({value} as {kind}) is null)")
    return Relation.table(
        connection,
        "restored_records",
        f"select {''.join(columns)}_file, cast(null as bigint) as _row, _record "
        f"from quarantined where not ({' or '.join(losses)})",
    )


def _records(sql: str) -> Iterator[pa.RecordBatch]:
    with duckdb.connect() as connection:
        for rows in connection.sql(sql).to_arrow_reader(10_000):
            raws, hashes, positions, batches = (column.to_pylist() for column in rows.columns)
            places = [digest + (position or "") for digest, position in zip(hashes, positions, strict=True)]
            columns = ([keep_digits(raw.decode()) for raw in raws], places, hashes, batches)
            arrays = [pa.array(values, of.type) for values, of in zip(columns, LANDED, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=LANDED)


def recheck(
    connection: duckdb.DuckDBPyConnection, contract: Contract, extras: Sequence[str], stored: str | None
) -> None:
    """Make the relation `rechecked` from what was restored and checked.

    A record that would be taken for the newest of its key, though its key came again in a later batch, does not pass:
    events are told apart by their key, and states of different times by their cursor, but what is left is ordered by
    arrival alone.
    """
    is_known = came_again = "false"
    if stored:
        is_same, is_later = (
            _same([*contract.types, *extras]),
            f"known._batch > quarantined._came and {_by_arrival(contract)}",
        )
        is_known = f"exists (select 1 from {stored} as known where not known._deleted and {is_same})"
        came_again = f"exists (select 1 from {stored} as known where {is_later})"
    connection.execute(f"""
        create or replace temp table {RECHECKED} as
        with compared as (
            select
                quarantined._hash, checked._row, {is_known} as is_known, {came_again} as came_again,
                string_split(checked._reasons, {literal(SEPARATOR)}) as found
            from {CHECKED} as checked
            inner join quarantined on checked._position = quarantined._file
        )
        select
            _hash, _row, is_known and found is null as is_known,
            case when found is null and came_again and not is_known then [{literal(CAME_AGAIN)}] else found end
            as _reasons
        from compared
    """)


def _by_arrival(contract: Contract) -> str:
    """Say when a stored row is of a checked one's key, and of the two the later to arrive stands."""
    match contract.load:
        case "append":
            return "false"
        case "upsert":
            return _same([*contract.key, *([contract.cursor] if contract.cursor else [])])
        case "full":
            return _same(contract.key)


def keep_passed(connection: duckdb.DuckDBPyConnection) -> None:
    """Leave in `checked` what passes and is not known already, where it stood when it came."""
    replace_checked(
        connection,
        f"select * replace (substr(_position, {HASH_LENGTH + 1}) as _position) from {CHECKED} "
        f"where _row in (select _row from {RECHECKED} where _reasons is null and not is_known)",
    )


def _same(names: Sequence[str]) -> str:
    return " and ".join(f"known.{identifier(name)} is not distinct from checked.{identifier(name)}" for name in names)
