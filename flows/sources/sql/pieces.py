"""Steps that all drivers of databases share: their errors, and the relation that a mapping names."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from flows.config.connections import TableMapping
from flows.core.errors import SourceFailed, WarehouseError
from flows.core.names import identifier
from flows.core.redaction import scrub
from flows.sources.arrow_batches import to_batch
from flows.sources.batches import Batch, Request
from flows.sources.json_records import refuse_colliding_names

ROWS_A_FETCH = 5_000
SQL_TOKENS = re.compile(
    r"(?P<blank>\s+|--[^\n]*|/\*.*?\*/)|(?P<quoted>'[^']*'|\"[^\"]*\"|`[^`]*`|(?P<tag>\$\w*\$).*?(?P=tag))|.", re.DOTALL
)
"""The parts of SQL that a semicolon may stand in, and every other sign."""


class NotConnected(Exception):
    """No session with the database could be opened; its cause is the driver's error."""


class SnapshotLost(Exception):
    """The session that held the snapshot of several tables has ended, so that the others cannot be read from it."""


SNAPSHOT_LOST = (
    "the snapshot that the source's tables share is lost: the server has ended the session that held it. Rows of two "
    "moments would not fit together, so no more tables were read"
)


@contextmanager
def connecting() -> Iterator[None]:
    """Tell an error while a session is opened from those that come later."""
    try:
        yield
    except (WarehouseError, MemoryError, SnapshotLost):
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
    except SnapshotLost:
        raise SourceFailed(str(mapping.name), SNAPSHOT_LOST, "Run again: the tables get a new snapshot.") from None
    except Exception as raised:  # noqa: BLE001 - drivers raise what they like, such as LookupError for a codec
        is_unreachable = isinstance(raised, NotConnected) and isinstance(raised.__cause__, Exception)
        error = raised.__cause__ if is_unreachable and isinstance(raised.__cause__, Exception) else raised
        unknown = f"the driver raised {type(error).__name__}; its text is not shown, since it may quote a value"
        cause, is_transient = explain(error) or (unknown, False)
        remedy = f"Fix the source, or its url or mapping in {mapping.place}, then run again."
        raise SourceFailed(str(mapping.name), scrub(cause), remedy, is_transient, is_unreachable) from None


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
        batch = to_batch(connection, table, mapping, request, first, watermark, in_source_order=True)
        first, watermark = first + table.num_rows, batch.watermark
        yield batch
    if request.cursor is not None and request.watermark is not None and not has_cursor and has_rows():
        raise SourceFailed(
            str(mapping.name),
            f"all of its rows lie before the {request.cursor} that was read already. It is an older copy, such as a "
            "backup or a replica that lags",
            "Read from a copy that is up to date. If its newest rows were deleted on purpose, change its mapping, for "
            "example to `where: 'true'`: then all of it is read again, and rows that the lake has are known.",
            is_transient=True,
        )


def _has_values(table: pa.Table, cursor: str | None) -> bool:
    return cursor is not None and any(
        table.column(name).null_count < table.num_rows for name in table.column_names if name == cursor
    )
