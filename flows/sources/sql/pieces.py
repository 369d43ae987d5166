"""From fetched pieces to batches in DuckDB: the same for every driver."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import duckdb
import pyarrow as pa

from flows.config.connections import TableMapping
from flows.core.errors import SourceFailed
from flows.core.names import identifier, literal
from flows.core.relation import Relation
from flows.sources.batches import Batch, Request
from flows.sources.json_records import refuse_colliding_names
from flows.sources.watermark import advance_watermark

ROWS_A_BATCH = 500_000
BYTES_A_BATCH = 64 * 1024 * 1024
ROWS_A_FETCH = 5_000
SQL_RECORDS = "sql_records"


def resolve_cursor(request: Request, names: Sequence[str]) -> Request:
    """Return the request with its cursor as the source spells it.

    Without such a column, all rows are requested; those that the lake has are duplicates.
    """
    spelled = {name.casefold(): name for name in names}
    cursor = spelled.get(request.cursor.casefold()) if request.cursor is not None else None
    return replace(request, cursor=cursor, watermark=request.watermark if cursor is not None else None)


def is_plain_name(mapping: TableMapping) -> bool:
    """Tell whether a table is read by a plain name, which is quoted; other names are SQL of the source."""
    return not mapping.query and re.fullmatch(r"\w+", mapping.origin) is not None


def relation_of(mapping: TableMapping) -> str:
    """Return the table, view or query that a mapping reads, as SQL of the source."""
    if mapping.query:
        return f"({mapping.query.strip().rstrip(';')}) as mapped"
    return identifier(mapping.origin) if is_plain_name(mapping) else mapping.origin


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
            piece.cast(pa.schema([(one.name, pa.string() if one.name in mixed else one.type) for one in piece.schema]))
            for piece in pieces
        ]
    return pa.concat_tables(pieces, promote_options="permissive")


def to_batches(
    connection: duckdb.DuckDBPyConnection,
    tables: Iterable[pa.Table],
    mapping: TableMapping,
    request: Request,
    first: int,
    has_rows: Callable[[], bool],
) -> Iterator[Batch]:
    """Make a batch of each table; a batch's watermark is the largest cursor value so far, and never moves back.

    Rows are numbered from `first`. Raises SourceFailed if the source has no rows from its watermark on, although it
    `has_rows` before it.
    """
    watermark, has_cursor = request.watermark, False
    for table in tables:
        has_cursor = has_cursor or _has_values(table, request.cursor)
        refuse_colliding_names(str(mapping.name), table.column_names)
        connection.register("arrow_rows", table.append_column("_row", pa.arange(first, first + table.num_rows)))
        query = f"select * exclude (_row), {literal(mapping.origin)} as _file, _row from arrow_rows"
        records = Relation.view(connection, SQL_RECORDS, query)
        first += table.num_rows
        watermark = advance_watermark(records, request.cursor, watermark)
        yield Batch(records, read=table.num_rows, watermark=watermark)
    if request.cursor is not None and request.watermark is not None and not has_cursor and has_rows():
        raise SourceFailed(
            str(mapping.name),
            f"all of its rows lie before the {request.cursor} that was read already. It is an older copy, such as a "
            "backup or a replica that lags",
            "Read from a copy that is up to date. If its newest rows were deleted on purpose, change its mapping, for "
            "example to `where: 'true'`: then all of it is read again, and rows that the lake has are duplicates.",
            is_transient=True,
        )


def _has_values(table: pa.Table, cursor: str | None) -> bool:
    return cursor is not None and any(
        table.column(name).null_count < table.num_rows for name in table.column_names if name == cursor
    )
