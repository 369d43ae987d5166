"""Tables of every database that SQLAlchemy has a driver for."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock
from typing import Any, ClassVar

import duckdb
import pyarrow as pa
import sqlalchemy

from flows.config.connections import TableMapping
from flows.core.errors import UsageError
from flows.sources.arrow_batches import gather, resolve_cursor
from flows.sources.batches import LOOK_SECONDS, Batch, Request
from flows.sources.python_values import to_array
from flows.sources.sql import pieces
from flows.sources.watermark import Cursor, from_watermark

Conditions = list[sqlalchemy.ColumnElement[bool]]
Expressions = Mapping[str, sqlalchemy.ColumnElement[Any]]


class AnyDialect:
    """The steps that every database of SQLAlchemy takes; a subclass changes those that differ."""

    has_snapshots: ClassVar[bool] = False
    """Whether a transaction reads one snapshot, which no other session can read."""

    def engine(self, url: sqlalchemy.URL, seconds: int | None) -> sqlalchemy.Engine:
        """Return an engine; it waits so many seconds for an answer, if the driver can."""
        return sqlalchemy.create_engine(url)

    def begin(self, database: sqlalchemy.Connection, seconds: int | None) -> None:
        """Prepare a session, and begin its one transaction."""
        driver_connection = database.connection.driver_connection
        if database.dialect.name == "sqlite" and driver_connection is not None:
            driver_connection.text_factory = _keep_bytes

    def expressions(self, table: str, kinds: Mapping[str, Any]) -> Expressions:
        """Return expressions for the columns that `*` would change, by name; raises SchemaMismatch for those not read.

        `kinds` are the types of all columns as the driver describes them.
        """
        return {}

    def decode(self, column: pa.Array) -> pa.Array:
        """Return the values of a column that was fetched by its expression as the database has them."""
        return column

    def since(self, column: sqlalchemy.ColumnClause[Any], cursor: Cursor, kind: Any, dialect: str) -> Conditions:
        """Return conditions for the rows from a cursor value on, and for those that no later value can tell."""
        conditions: Conditions = [column >= cursor]
        if isinstance(cursor, str):
            text = column if dialect == "sqlite" else sqlalchemy.cast(column, sqlalchemy.String(64))
            conditions.append(text < pieces.least_text(cursor))
        return conditions

    def discard(self, driver_cursor: Any) -> None:
        """Let a cursor of the driver end without fetching the rows that are left."""

    def ends_transaction(self, error: sqlalchemy.exc.DBAPIError) -> bool:
        """Tell whether an error has ended the session's transaction, and so its snapshot."""
        return error.connection_invalidated

    def explain(self, error: Exception) -> tuple[str, bool] | None:
        """Return the message of the database, unless it is about a value, and whether the failure may pass."""
        if not isinstance(error, sqlalchemy.exc.SQLAlchemyError):
            return None
        cause = getattr(error, "orig", None) or error
        is_about_a_value = isinstance(error, sqlalchemy.exc.DataError | sqlalchemy.exc.IntegrityError)
        text = "on a value, which is not shown" if is_about_a_value else str(cause)
        return f"{type(cause).__name__}: {text}", isinstance(error, sqlalchemy.exc.OperationalError)


class SharedSession:
    """One session for several tables, which use it one after the other: its transaction is their one snapshot."""

    def __init__(self, session: AbstractContextManager[sqlalchemy.Connection], dialect: AnyDialect) -> None:
        self._session, self._dialect, self._lock = session, dialect, Lock()
        self._opened = ExitStack()
        self._database: sqlalchemy.Connection | None = None
        self._is_lost = False

    @contextmanager
    def use(self) -> Iterator[sqlalchemy.Connection]:
        """Yield the session, which the first table opens; raises SnapshotLost if its transaction has ended since."""
        with self._lock:
            if self._is_lost:
                raise pieces.SnapshotLost
            if self._database is None:
                self._database = self._opened.enter_context(self._session)
            try:
                yield self._database
            except sqlalchemy.exc.DBAPIError as error:
                self._is_lost = self._dialect.ends_transaction(error)
                raise

    def close(self) -> None:
        """End the session."""
        self._opened.close()


@dataclass(frozen=True, repr=False)
class SqlAlchemyTable:
    """A table, view or query of a database; its URL holds a password and is never shown."""

    runs_query: ClassVar[bool] = True

    dialect: AnyDialect
    url: sqlalchemy.URL
    mapping: TableMapping
    shared: SharedSession | None = None

    def batches(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Batch]:
        """Yield rows in the order of the cursor, from one snapshot of the database if it has such."""
        with pieces.source_errors(self.mapping, self.dialect.explain):
            session = self.shared.use() if self.shared else self._session(request.look and LOOK_SECONDS)
            with session as database:
                yield from self._read(connection, database, request)

    def table_names(self) -> list[str]:
        """Return the tables and views of the database, as a mapping names them; raises SourceFailed."""
        with pieces.source_errors(self.mapping, self.dialect.explain), self._session(LOOK_SECONDS) as database:
            inspector = sqlalchemy.inspect(database)
            return sorted([*inspector.get_table_names(), *inspector.get_view_names()])

    def share_snapshot(self) -> SharedSession | None:
        """Return a snapshot for several tables, if the database has such; it is taken when the first is read."""
        return SharedSession(self._session(None), self.dialect) if self.dialect.has_snapshots else None

    def in_snapshot(self, shared: SharedSession) -> "SqlAlchemyTable":
        """Return the table as it is read from a snapshot of several tables."""
        return replace(self, shared=shared)

    @contextmanager
    def _session(self, seconds: int | None) -> Iterator[sqlalchemy.Connection]:
        """Open a session whose results stay on the server until they are fetched, so that memory stays bounded."""
        engine = self._engine(seconds)
        try:
            with pieces.connecting():
                session = engine.connect()
            with session.execution_options(stream_results=True, yield_per=pieces.ROWS_A_FETCH) as database:
                self.dialect.begin(database, seconds)
                yield database
        finally:
            engine.dispose()

    def _engine(self, seconds: int | None) -> sqlalchemy.Engine:
        try:
            return self.dialect.engine(self.url, seconds)
        except (sqlalchemy.exc.ArgumentError, ValueError):  # whose messages quote the url, and so the password
            raise UsageError(
                f"{self.mapping.name}: url is not a valid URL.", f"Fix it in {self.mapping.file}."
            ) from None

    def _read(
        self, connection: duckdb.DuckDBPyConnection, database: sqlalchemy.Connection, request: Request
    ) -> Iterator[Batch]:
        source = self._relation(database)
        with closing(database.execute(_select_all(source).limit(0))) as empty:
            names = list(empty.keys())
            kinds = {column[0]: column[1] for column in empty.cursor.description} if empty.cursor else {}
        pieces.refuse_repeated_names(str(self.mapping.name), names)
        changed = self.dialect.expressions(str(self.mapping.name), kinds)
        request = resolve_cursor(request, names)
        select = _select(source, names, changed) if changed else _select_all(source)
        with closing(database.execute(self._clauses(select, request, kinds, database.dialect.name))) as result:
            driver_cursor = result.cursor
            fetched = (self._to_arrow(names, rows, changed) for rows in result.partitions(pieces.ROWS_A_FETCH))
            tables = gather(fetched, pa.schema([(name, pa.string()) for name in names]))
            any_row = _select_all(source).where(_column(request).is_not(None)).limit(1)
            has_rows = partial(_has_rows, database, any_row)
            try:
                yield from pieces.to_batches(connection, tables, self.mapping, request, 1, has_rows)
            except BaseException:
                if self.shared is None or database.invalidated:  # the rows that are left need not be fetched
                    self.dialect.discard(driver_cursor)
                    database.invalidate()
                raise

    def _relation(self, database: sqlalchemy.Connection) -> sqlalchemy.FromClause | sqlalchemy.TextClause:
        inspector = sqlalchemy.inspect(database)
        found: list[sqlalchemy.TableClause] = []

        def exists(*parts: str) -> bool:
            *schema, name = parts
            if inspector.has_table(name, *schema):
                found.append(sqlalchemy.table(name, schema=next(iter(schema), None)))
            return bool(found)

        sql = pieces.relation_of(self.mapping, exists)
        if not found and pieces.is_plain_name(self.mapping):
            found.append(sqlalchemy.table(self.mapping.origin))
        return found[0] if found else sqlalchemy.text(sql.replace(":", "\\:"))  # else a colon begins a parameter

    def _clauses(
        self, select: sqlalchemy.Select[Any], request: Request, kinds: Mapping[str, Any], dialect: str
    ) -> sqlalchemy.Select[Any]:
        """Return a select with the clauses that choose and order rows."""
        if request.look is not None:
            return select.limit(request.look + 1)
        if request.cursor is None:
            return select
        column = _column(request)
        if request.watermark is not None:
            cursor = from_watermark(request.watermark, request.lookback)
            since = self.dialect.since(column, cursor, kinds.get(request.cursor), dialect)
            select = select.where(sqlalchemy.or_(*since, column.is_(None)))
        return select.order_by(column)

    def _to_arrow(self, names: Sequence[str], rows: Sequence[Any], changed: Expressions) -> pa.Table:
        columns = zip(names, zip(*rows, strict=True), strict=True)
        arrays = {name: to_array(values) for name, values in columns}
        return pa.table({name: self.dialect.decode(one) if name in changed else one for name, one in arrays.items()})


def _select_all(source: sqlalchemy.FromClause | sqlalchemy.TextClause) -> sqlalchemy.Select[Any]:
    return sqlalchemy.select(sqlalchemy.text("*")).select_from(source)


def _select(
    source: sqlalchemy.FromClause | sqlalchemy.TextClause, names: Sequence[str], changed: Expressions
) -> sqlalchemy.Select[Any]:
    columns = [changed[name].label(name) if name in changed else sqlalchemy.column(name) for name in names]
    return sqlalchemy.select(*columns).select_from(source)


def _column(request: Request) -> sqlalchemy.ColumnClause[Any]:
    return sqlalchemy.column(request.cursor or "")


def _has_rows(database: sqlalchemy.Connection, statement: sqlalchemy.Select[Any]) -> bool:
    return database.execute(statement).first() is not None


def _keep_bytes(raw: bytes) -> str:
    """Read a text of SQLite; signs that are no UTF-8 stay as they are, for quarantine."""
    return raw.decode(errors="surrogateescape")
