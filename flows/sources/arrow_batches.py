"""From pieces of Arrow to batches in DuckDB: the same for every driver of a database, and for the user's own code."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from flows.config.connections import TableMapping
from flows.core.names import identifier, literal
from flows.core.relation import Relation
from flows.sources.batches import Batch, Rejected, Request
from flows.sources.json_records import refuse_colliding_names
from flows.sources.python_values import as_text
from flows.sources.watermark import advance_watermark

ROWS_A_BATCH = 500_000
BYTES_A_BATCH = 64 * 1024 * 1024
ARROW_RECORDS = "arrow_records"


def gather(pieces: Iterator[pa.Table], schema: pa.Schema) -> Iterator[pa.Table]:
    """Concatenate fetched pieces until they are enough for a batch; yield one empty table if no piece comes."""
    waiting: list[pa.Table] = []
    rows = size = batches = 0
    for piece in pieces:
        waiting.append(piece)
        rows, size = rows + piece.num_rows, size + piece.nbytes
        if rows >= ROWS_A_BATCH or size >= BYTES_A_BATCH:
            yield _concatenate(waiting)
            waiting, rows, size, batches = [], 0, 0, batches + 1
    if waiting or not batches:
        yield _concatenate(waiting or [schema.empty_table()])


def _concatenate(pieces: list[pa.Table]) -> pa.Table:
    """Concatenate pieces; a column whose type differs between them becomes text, since a wider type may round."""
    types: dict[str, set[pa.DataType]] = {}
    for piece in pieces:
        for field in piece.schema:
            if not pa.types.is_null(field.type):
                types.setdefault(field.name, set()).add(field.type)
    mixed = {name for name, found in types.items() if len(found) > 1}
    if mixed:
        pieces = [
            pa.table({name: as_text(one[name]) if name in mixed else one[name] for name in one.column_names})
            for one in pieces
        ]
    return pa.concat_tables(pieces, promote_options="permissive")


def resolve_cursor(request: Request, names: Sequence[str]) -> Request:
    """Return the request with its cursor as the source spells it.

    Without such a column, all rows are requested; those that the lake has are known.
    """
    spelled = {name.casefold(): name for name in names}
    cursor = spelled.get(request.cursor.casefold()) if request.cursor is not None else None
    return replace(request, cursor=cursor, watermark=request.watermark if cursor is not None else None)


def to_batch(
    connection: duckdb.DuckDBPyConnection,
    table: pa.Table,
    mapping: TableMapping,
    request: Request,
    first: int,
    watermark: str | None,
    *,
    in_source_order: bool = False,
) -> Batch:
    """Make a batch of a table, whose rows are numbered from `first`, with the watermark after it.

    The watermark is the largest cursor value so far; with `in_source_order`, numbers must not be kept as text.
    """
    refuse_colliding_names(str(mapping.name), table.column_names)
    read = table.num_rows
    numbered = table.append_column("_row", pa.arange(first, first + read))
    numbered, rejected = _reject_invalid_text(connection, numbered, mapping.origin)
    connection.register("arrow_rows", numbered)
    query = f"select * exclude (_row), {literal(mapping.origin)} as _file, _row from arrow_rows"
    records = Relation.view(connection, ARROW_RECORDS, query)
    watermark = advance_watermark(
        records, request.cursor, watermark, request.lookback, mapping, in_source_order=in_source_order
    )
    return Batch(records, read, rejected, watermark=watermark)


def _reject_invalid_text(
    connection: duckdb.DuckDBPyConnection, table: pa.Table, origin: str
) -> tuple[pa.Table, tuple[Rejected, ...]]:
    """Take out rows with a text that is not UTF-8: DuckDB has no such text. Their bytes are kept."""
    columns_by_row: dict[int, list[str]] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_string(column.type) and not _is_valid(column):
            for at, raw in enumerate(pc.cast(column, pa.binary()).to_pylist()):
                if raw is not None and not _is_utf8(raw):
                    columns_by_row.setdefault(at, []).append(name)
    if not columns_by_row:
        return table, ()
    rejected = tuple(
        _rejected(connection, table.slice(at, 1), columns_by_row[at], origin) for at in sorted(columns_by_row)
    )
    return table.filter(pa.array([at not in columns_by_row for at in range(table.num_rows)])), rejected


def _rejected(connection: duckdb.DuckDBPyConnection, row: pa.Table, columns: Sequence[str], origin: str) -> Rejected:
    """Write a row as JSON whose texts keep their bytes, and whose numbers keep their digits."""
    others = [field.name for field in row.schema if not pa.types.is_string(field.type)]
    connection.register("arrow_rejected", row.select(others))
    listed = ", ".join(f"coalesce(cast(to_json({identifier(name)}) as varchar), 'null')" for name in others)
    written = dict(zip(others, connection.execute(f"select {listed} from arrow_rejected").fetchall()[0], strict=True))
    connection.unregister("arrow_rejected")
    number = written.pop("_row")
    for name in row.column_names:
        if name not in others:
            raw = pc.cast(row[name], pa.binary())[0].as_py()
            text = None if raw is None else raw.decode(errors="surrogateescape")
            written[name] = json.dumps(text, ensure_ascii=False)
    record = ", ".join(f"{json.dumps(name, ensure_ascii=False)}: {written[name]}" for name in row.column_names[:-1])
    reason = "; ".join(f"{name}: is not UTF-8" for name in columns)
    return Rejected(f"{{{record}}}".encode(errors="surrogateescape"), reason, f"{origin}:{number}")


def _is_valid(column: pa.ChunkedArray) -> bool:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
