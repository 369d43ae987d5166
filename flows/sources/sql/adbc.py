"""Tables of databases that ADBC reads: rows come as Arrow, without a Python object for each value."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Protocol

import duckdb
import pyarrow as pa
from adbc_driver_manager import Error as AdbcError
from adbc_driver_manager.dbapi import Connection as Database

from flows.config.connections import TableMapping
from flows.core.errors import SourceFailed
from flows.core.names import identifier
from flows.core.redaction import scrub
from flows.sources.batches import Batch, Request
from flows.sources.json_records import refuse_colliding_names
from flows.sources.sql import pieces
from flows.sources.watermark import Cursor, from_watermark

ROWS, LARGEST_LIMIT = "source_rows", 2**63 - 1
DRIVER_ERRORS = (AdbcError, OSError, pa.ArrowInvalid)
"""Errors of a driver; it raises the last two while it fetches."""


class MixedTypesError(Exception):
    """A column holds values that its Arrow type cannot keep; read as text, they stay exact."""


@dataclass
class InexactError(Exception):
    """A column holds values that the driver would change."""

    cause: str
    remedy: str


class Dialect(Protocol):
    """The differences between the databases that ADBC reads."""

    def connect(self) -> Database:
        """Open a session that cannot write, and begin its one transaction."""
        ...

    def statement_options(self) -> Mapping[str, str]:
        """Return the driver's options for a statement that fetches."""
        ...

    def expression(self, field: pa.Field, column: str, *, as_text: bool) -> str:
        """Return SQL that yields the values of a column exactly."""
        ...

    def decode(self, reader: pa.RecordBatchReader, *, as_text: bool) -> Iterator[pa.Table]:
        """Yield fetched pieces; raises MixedTypesError, or InexactError where reading as text cannot help."""
        ...

    def literal(self, cursor: Cursor) -> str:
        """Write a cursor value as SQL that compares like the column's own values."""
        ...

    def explain(self, error: Exception) -> tuple[str, bool]:
        """Return the cause of a driver's error without values of rows, and whether it may pass."""
        ...


@dataclass(frozen=True)
class AdbcTable:
    """A table, view or query of a database, read in one read-only transaction."""

    runs_query: ClassVar[bool] = True

    dialect: Dialect
    mapping: TableMapping

    def batches(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Batch]:
        """Yield rows in the order of the cursor, so that the next load can continue from each batch's watermark."""
        try:
            with closing(self.dialect.connect()) as database:
                yield from self._typed_or_text(connection, database, request)
        except InexactError as error:
            raise SourceFailed(str(self.mapping.name), error.cause, error.remedy) from None
        except DRIVER_ERRORS as error:
            cause, is_transient = self.dialect.explain(error)
            remedy = f"Fix the source, or its url or mapping in {self.mapping.file}, then run again."
            raise SourceFailed(str(self.mapping.name), scrub(cause), remedy, is_transient) from None

    def _typed_or_text(
        self, connection: duckdb.DuckDBPyConnection, database: Database, request: Request
    ) -> Iterator[Batch]:
        """Read typed columns; from the first batch that they cannot hold, read the rest as text."""
        done = 0
        try:
            for batch in self._read(connection, database, request, done, as_text=False):
                yield batch
                request = replace(request, watermark=batch.watermark or request.watermark)
                done += batch.read
        except MixedTypesError:
            yield from self._read(connection, database, request, done, as_text=True)

    def _read(
        self, connection: duckdb.DuckDBPyConnection, database: Database, request: Request, done: int, *, as_text: bool
    ) -> Iterator[Batch]:
        relation = f"(select * from {pieces.relation_of(self.mapping)}) as {ROWS}"
        schema = _fetch(database, f"select * from {relation} limit 0").schema
        refuse_colliding_names(str(self.mapping.name), schema.names)
        request = pieces.resolve_cursor(request, schema.names)
        with closing(database.cursor()) as cursor:
            cursor.adbc_statement.set_options(**self.dialect.statement_options())
            columns = self._columns(schema, as_text=as_text)
            cursor.execute(f"select {columns} from {relation}{self._rows(request, done)}")
            reader = cursor.fetch_record_batch()
            tables = _read_ahead(pieces.gather(self.dialect.decode(reader, as_text=as_text), reader.schema))
            any_row = f"select 1 from {relation} where {_column(request.cursor or '')} is not null limit 1"
            has_rows = partial(_has_rows, database, any_row)
            yield from pieces.to_batches(connection, tables, self.mapping, request, done + 1, has_rows)

    def _columns(self, schema: pa.Schema, *, as_text: bool) -> str:
        return ", ".join(
            f"{self.dialect.expression(field, _column(field.name), as_text=as_text)} as {identifier(field.name)}"
            for field in schema
        )

    def _rows(self, request: Request, done: int) -> str:
        """Return the clauses that choose and order rows; without a cursor, rows that were read are skipped."""
        if request.cursor is None:
            return f" limit {LARGEST_LIMIT} offset {done}" if done else ""
        column, where = _column(request.cursor), ""
        if request.watermark is not None:
            since = self.dialect.literal(from_watermark(request.watermark, request.lookback))
            where = f" where {column} >= {since} or {column} is null"
        return f"{where} order by {column}"


def _column(name: str) -> str:
    return f"{ROWS}.{identifier(name)}"


def _fetch(database: Database, sql: str) -> pa.Table:
    with closing(database.cursor()) as cursor:
        cursor.execute(sql)
        return cursor.fetch_arrow_table()


def _has_rows(database: Database, sql: str) -> bool:
    return bool(_fetch(database, sql).num_rows)


def _read_ahead(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Fetch the next batch while this one is checked and written: the driver needs no Python meanwhile."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        following = reader.submit(next, tables, None)
        while (table := following.result()) is not None:
            following = reader.submit(next, tables, None)
            yield table
