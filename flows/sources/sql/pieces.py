"""From fetched pieces to batches in DuckDB: the same for every driver."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from flows.config.connections import TableMapping
from flows.core.errors import SourceFailed, WarehouseError
from flows.core.names import identifier, literal
from flows.core.redaction import scrub
from flows.core.relation import Relation
from flows.sources.batches import Batch, Rejected, Request
from flows.sources.json_records import refuse_colliding_names
from flows.sources.sql.values import as_text
from flows.sources.watermark import advance_watermark

ROWS_A_BATCH = 500_000
BYTES_A_BATCH = 64 * 1024 * 1024
ROWS_A_FETCH = 5_000
SQL_RECORDS = "sql_records"
SQL_TOKENS = re.compile(
    r"(?P<blank>\s+|--[^\n]*|/\*.*?\*/)|(?P<quoted>'[^']*'|\"[^\"]*\"|`[^`]*`|(?P<tag>\$\w*\$).*?(?P=tag))|.", re.DOTALL
)
"""The parts of SQL that a semicolon may stand in, and every other sign."""


class NotConnected(Exception):
    """No session with the database could be opened; its cause is the driver's error."""


@contextmanager
def connecting() -> Iterator[None]:
    """Tell an error while a session is opened from those that come later."""
    try:
        yield
    except (WarehouseError, MemoryError):
        raise
    except Exception as error:
        raise NotConnected from error


@contextmanager
def source_errors(mapping: TableMapping, explain: Callable[[Exception], tuple[str, bool] | None]) -> Iterator[None]:
    """Turn every exception of a driver into SourceFailed, without values and secrets.

    `explain` returns the cause that may be shown, and whether it may pass; None for an error that it does not know.
    """
    try:
        yield
    except (WarehouseError, duckdb.Error, MemoryError):
        raise
    except Exception as raised:  # noqa: BLE001 - drivers raise what they like, such as LookupError for a codec
        is_unreachable = isinstance(raised, NotConnected) and isinstance(raised.__cause__, Exception)
        error = raised.__cause__ if is_unreachable and isinstance(raised.__cause__, Exception) else raised
        unknown = f"the driver raised {type(error).__name__}; its text is not shown, since it may quote a value"
        cause, is_transient = explain(error) or (unknown, False)
        remedy = f"Fix the source, or its url or mapping in {mapping.place}, then run again."
        raise SourceFailed(str(mapping.name), scrub(cause), remedy, is_transient, is_unreachable) from None


def resolve_cursor(request: Request, names: Sequence[str]) -> Request:
    """Return the request with its cursor as the source spells it.

    Without such a column, all rows are requested; those that the lake has are known.
    """
    spelled = {name.casefold(): name for name in names}
    cursor = spelled.get(request.cursor.casefold()) if request.cursor is not None else None
    return replace(request, cursor=cursor, watermark=request.watermark if cursor is not None else None)


def refuse_repeated_names(table: str, names: Sequence[str]) -> None:
    """Raise SchemaMismatch for two columns of one name; SQLite calls the second of two brands `brand:1`."""
    folded = {name.casefold() for name in names}
    original = [re.sub(r":\d+$", "", name) for name in names]
    refuse_colliding_names(
        table, [one if one.casefold() in folded else name for one, name in zip(original, names, strict=True)]
    )


def relation_of(mapping: TableMapping, exists: Callable[..., bool]) -> str:
    """Return the table, view or query that a mapping reads, as SQL of the source.

    `exists` tells whether there is a table of a name, or of a schema and a name, as they are written. A name that the
    source does not have is SQL of its own: a quoted name, or several tables joined.
    """
    if mapping.query:
        return f"({without_end(mapping.query)}\n) as mapped"
    name = mapping.origin
    if is_plain_name(mapping) or exists(name):
        return identifier(name)
    parts = name.split(".")
    return ".".join(map(identifier, parts)) if len(parts) == 2 and exists(*parts) else name


def least_text(cursor: str) -> str:
    """Return the text before which rows are read in any case: no later watermark can tell them from older ones.

    Empty cells, blanks and dashes sort before all texts that begin with a digit or letter; in SQLite, numbers too.
    """
    return "/" if cursor > "/" else ""


def is_plain_name(mapping: TableMapping) -> bool:
    """Tell whether a table is read by a plain name, which is quoted."""
    return not mapping.query and re.fullmatch(r"\w+", mapping.origin) is not None


def without_end(query: str) -> str:
    """Return a query without the semicolon that ends it, whatever comments follow."""
    end = [token for token in SQL_TOKENS.finditer(query) if token.lastgroup != "blank"]
    while end and end[-1][0] == ";":
        query = query[: end.pop().start()]
    return query.strip()


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
        read = table.num_rows
        numbered = table.append_column("_row", pa.arange(first, first + read))
        numbered, rejected = _reject_invalid_text(connection, numbered, mapping.origin)
        connection.register("arrow_rows", numbered)
        query = f"select * exclude (_row), {literal(mapping.origin)} as _file, _row from arrow_rows"
        records = Relation.view(connection, SQL_RECORDS, query)
        first += read
        watermark = advance_watermark(
            records, request.cursor, watermark, request.lookback, mapping, in_source_order=True
        )
        yield Batch(records, read, rejected, watermark=watermark)
    if request.cursor is not None and request.watermark is not None and not has_cursor and has_rows():
        raise SourceFailed(
            str(mapping.name),
            f"all of its rows lie before the {request.cursor} that was read already. It is an older copy, such as a "
            "backup or a replica that lags",
            "Read from a copy that is up to date. If its newest rows were deleted on purpose, change its mapping, for "
            "example to `where: 'true'`: then all of it is read again, and rows that the lake has are known.",
            is_transient=True,
        )


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


def _has_values(table: pa.Table, cursor: str | None) -> bool:
    return cursor is not None and any(
        table.column(name).null_count < table.num_rows for name in table.column_names if name == cursor
    )
