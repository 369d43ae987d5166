"""Tables of databases that ADBC reads: rows come as Arrow, without a Python object for each value."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, Protocol

import duckdb
import pyarrow as pa
from adbc_driver_manager import Error as AdbcError
from adbc_driver_manager.dbapi import Connection as Database
from adbc_driver_manager.dbapi import Cursor as DriverCursor

from flows.config.connections import TableMapping
from flows.core.names import identifier
from flows.sources.arrow_batches import gather, resolve_cursor
from flows.sources.batches import LOOK_SECONDS, Batch, Request, Snapshot
from flows.sources.sql import pieces
from flows.sources.watermark import Cursor, from_watermark

ROWS, LARGEST_LIMIT = "source_rows", 2**63 - 1
DRIVER_ERRORS = (AdbcError, OSError, pa.ArrowInvalid)
"""Errors of a driver; it raises the last two while it fetches."""


@dataclass
class MixedTypesError(Exception):
    """Columns hold values that their Arrow type cannot keep; read as text, they stay exact."""

    columns: frozenset[str]


class Dialect(Protocol):
    """The differences between the databases that ADBC reads."""

    sample_rows: ClassVar[int]
    """The rows that the driver must see to tell the types of columns."""

    def connect(self, seconds: int | None = None) -> Database:
        """Open a session that cannot write, and begin its one transaction; wait so many seconds for an answer."""
        ...

    def share_snapshot(self) -> Snapshot | None:
        """Return a snapshot for the sessions of several tables; None if they cannot share any."""
        ...

    def in_snapshot(self, snapshot: Any) -> "Dialect":
        """Return the dialect whose sessions read that snapshot."""
        ...

    def statement_options(self) -> Mapping[str, str]:
        """Return the driver's options for a statement that fetches."""
        ...

    def table_exists(self, *parts: str) -> str:
        """Return SQL for a row if there is a table or view of that name, exactly as it is written."""
        ...

    def all_tables(self) -> str:
        """Return SQL for the names of all tables and views, as a mapping names them."""
        ...

    def text_columns(self, table: str) -> str:
        """Return SQL for the names of a table's columns that cannot hold numbers; empty if that needs no asking."""
        ...

    def expression(self, field: pa.Field, column: str, at: int, *, as_text: bool, has_no_numbers: bool) -> str:
        """Return SQL that yields the values of a column exactly, or raises an error that `mixed_column` knows."""
        ...

    def widen(self, planned: pa.Schema, found: pa.Schema) -> pa.Schema:
        """Return the types to read columns by, after the driver looked at the first rows in their order."""
        ...

    def mixed_column(self, error: Exception) -> int | None:
        """Return the number of the column whose values are of several types, if that is the error."""
        ...

    def is_mixed(self, field: pa.Field, column: str) -> str:
        """Return SQL for whether any of all rows has another type than the column's; empty if that cannot be."""
        ...

    def decode(self, column: pa.Array, *, as_text: bool) -> pa.Array | None:
        """Return the values of a fetched column as the database has them, or None if its type cannot hold them."""
        ...

    def since(self, column: str, cursor: Cursor) -> str:
        """Return SQL for the rows from a cursor value on, and for those that no later value can tell."""
        ...

    def explain(self, error: Exception) -> tuple[str, bool]:
        """Return the cause of a driver's error without values of rows, and whether it may pass."""
        ...


@dataclass(frozen=True)
class Rows:
    """The rows that a mapping reads, as SQL of the source, and their columns that cannot hold numbers."""

    sql: str
    texts: frozenset[str]

    def __str__(self) -> str:
        return self.sql


@dataclass(frozen=True)
class AdbcTable:
    """A table, view or query of a database, read in one read-only transaction."""

    runs_query: ClassVar[bool] = True

    dialect: Dialect
    mapping: TableMapping

    def batches(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Batch]:
        """Yield rows in the order of the cursor, so that the next load can continue from each batch's watermark."""
        with pieces.source_errors(self.mapping, self._explain):
            with pieces.connecting():
                database = self.dialect.connect(None if request.look is None else LOOK_SECONDS)
            with closing(database):
                yield from self._typed_or_text(connection, database, request)

    def table_names(self) -> list[str]:
        """Return the tables and views of the database, as a mapping names them; raises SourceFailed."""
        with (
            pieces.source_errors(self.mapping, self._explain),
            pieces.connecting(),
            closing(self.dialect.connect(LOOK_SECONDS)) as database,
        ):
            return [str(name) for name in _fetch(database, self.dialect.all_tables()).column(0).to_pylist()]

    def share_snapshot(self) -> Snapshot | None:
        """Return a snapshot for several tables, if the database has such; it is taken when the first is read."""
        return self.dialect.share_snapshot()

    def in_snapshot(self, snapshot: Snapshot) -> "AdbcTable":
        """Return the table as it is read from a snapshot of several tables."""
        return replace(self, dialect=self.dialect.in_snapshot(snapshot))

    def _explain(self, error: Exception) -> tuple[str, bool] | None:
        return self.dialect.explain(error) if isinstance(error, DRIVER_ERRORS) else None

    def _typed_or_text(
        self, connection: duckdb.DuckDBPyConnection, database: Database, request: Request
    ) -> Iterator[Batch]:
        """Read typed columns; from the first batch that they cannot hold, read such columns as text."""
        rows = self._rows(database)
        as_text: frozenset[str] = frozenset()
        done = 0
        while True:
            try:
                for batch in self._read(connection, database, rows, request, done, as_text):
                    yield batch
                    request = replace(request, watermark=batch.watermark or request.watermark)
                    done += batch.read
            except MixedTypesError as error:
                others = frozenset() if as_text else self._mixed_columns(database, rows)
                as_text |= error.columns | others
            else:
                return

    def _rows(self, database: Database) -> Rows:
        def exists(*parts: str) -> bool:
            return _has_rows(database, self.dialect.table_exists(*parts))

        relation = pieces.relation_of(self.mapping, exists)
        names = "" if self.mapping.query else self.dialect.text_columns(self.mapping.origin)
        texts = _fetch(database, names).column(0).to_pylist() if names else []
        return Rows(f"(select * from {relation}) as {ROWS}", frozenset(texts))

    def _mixed_columns(self, database: Database, rows: Rows) -> frozenset[str]:
        """Look at all rows once, so that a table with many such columns is not begun again for each."""
        schema = _fetch(database, f"select * from {rows} limit {self.dialect.sample_rows}").schema
        checks = [self.dialect.is_mixed(field, _column(field.name)) for field in schema]
        if not any(checks):
            return frozenset()
        (found,) = zip(*_fetch(database, f"select {', '.join(checks)} from {rows}").columns, strict=True)
        return frozenset(name for name, is_mixed in zip(schema.names, found, strict=True) if is_mixed.as_py())

    def _read(
        self,
        connection: duckdb.DuckDBPyConnection,
        database: Database,
        rows: Rows,
        request: Request,
        done: int,
        as_text: frozenset[str],
    ) -> Iterator[Batch]:
        schema = _fetch(database, f"select * from {rows} limit {self.dialect.sample_rows}").schema
        pieces.refuse_repeated_names(str(self.mapping.name), schema.names)
        request = resolve_cursor(request, schema.names)
        with closing(database.cursor()) as cursor:
            cursor.adbc_statement.set_options(**self.dialect.statement_options())
            reader = self._execute(cursor, schema, rows, self._clauses(request, done), as_text)
            tables = _read_ahead(gather(self._decoded(reader, as_text), reader.schema))
            any_row = f"select 1 from {rows} where {_column(request.cursor or '')} is not null limit 1"
            has_rows = partial(_has_rows, database, any_row)
            yield from pieces.to_batches(connection, tables, self.mapping, request, done + 1, has_rows)

    def _execute(
        self, cursor: DriverCursor, schema: pa.Schema, rows: Rows, clauses: str, as_text: frozenset[str]
    ) -> pa.RecordBatchReader:
        """Select each column by its type, and again if the rows in their order show the driver a wider one."""
        while True:
            try:
                cursor.execute(f"select {self._columns(schema, rows, as_text)} from {rows}{clauses}")
                reader = cursor.fetch_record_batch()
            except DRIVER_ERRORS as error:
                self._raise_if_mixed(error, schema.names, as_text, frozenset())
                raise
            wider = self.dialect.widen(schema, reader.schema)
            if all(one.name in as_text or one.type == other.type for one, other in zip(schema, wider, strict=True)):
                return reader
            schema = wider

    def _decoded(self, reader: pa.RecordBatchReader, as_text: frozenset[str]) -> Iterator[pa.Table]:
        """Yield fetched pieces; raises MixedTypesError for columns that no one type can hold."""
        names = reader.schema.names
        empty = set(names)
        try:
            for batch in reader:
                fetched = dict(zip(names, batch.columns, strict=True))
                empty = {name for name in empty if fetched[name].null_count == len(batch)}
                decoded = {
                    name: self.dialect.decode(column, as_text=name in as_text) for name, column in fetched.items()
                }
                if unreadable := frozenset(name for name, column in decoded.items() if column is None):
                    raise MixedTypesError(unreadable)
                yield pa.Table.from_batches([pa.record_batch(list(decoded.values()), names)])
        except DRIVER_ERRORS as error:
            self._raise_if_mixed(error, names, as_text, frozenset(empty))
            raise

    def _raise_if_mixed(
        self, error: Exception, names: list[str], as_text: frozenset[str], empty: frozenset[str]
    ) -> None:
        """Raise MixedTypesError for the column at fault, and for those that had no value yet."""
        at = self.dialect.mixed_column(error)
        if at is not None and names[at] not in as_text:
            raise MixedTypesError(empty | {names[at]}) from None

    def _columns(self, schema: pa.Schema, rows: Rows, as_text: frozenset[str]) -> str:
        listed = []
        for at, field in enumerate(schema):
            name, column = field.name, _column(field.name)
            expression = self.dialect.expression(
                field, column, at, as_text=name in as_text, has_no_numbers=name in rows.texts
            )
            listed.append(f"{expression} as {identifier(name)}")
        return ", ".join(listed)

    def _clauses(self, request: Request, done: int) -> str:
        """Return the clauses that choose and order rows; without a cursor, rows that were read are skipped."""
        if request.look is not None:
            return f" limit {request.look + 1}"
        if request.cursor is None:
            return f" limit {LARGEST_LIMIT} offset {done}" if done else ""
        column, where = _column(request.cursor), ""
        if request.watermark is not None:
            since = self.dialect.since(column, from_watermark(request.watermark, request.lookback))
            where = f" where {since} or {column} is null"
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
