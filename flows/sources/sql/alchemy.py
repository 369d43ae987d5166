"""Tables of every database that SQLAlchemy has a driver for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import duckdb
import pyarrow as pa
import sqlalchemy

from flows.config.connections import TableMapping
from flows.core.errors import UsageError
from flows.sources.arrow_batches import gather, resolve_cursor
from flows.sources.batches import Batch, Request
from flows.sources.python_values import to_array
from flows.sources.sql import pieces
from flows.sources.watermark import from_watermark

IN_UTC = dict.fromkeys(("mysql", "mariadb"), "set time_zone = '+00:00'")
"""By dialect: SQL for a session whose times do not depend on the server's time zone."""


@dataclass(frozen=True, repr=False)
class SqlAlchemyTable:
    """A table, view or query of a database; its URL holds a password and is never shown."""

    runs_query: ClassVar[bool] = True

    url: sqlalchemy.URL
    mapping: TableMapping

    def batches(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Batch]:
        """Yield rows in the order of the cursor from a server-side result, so that memory stays bounded."""
        with pieces.source_errors(self.mapping, _explain):
            engine = self._engine()
            try:
                options = {"stream_results": True, "yield_per": pieces.ROWS_A_FETCH}
                with pieces.connecting():
                    session = engine.connect()
                with session.execution_options(**options) as database:
                    yield from self._read(connection, database, request)
            finally:
                engine.dispose()

    def table_names(self) -> list[str]:
        """Return the tables and views of the database, as a mapping names them; raises SourceFailed."""
        with pieces.source_errors(self.mapping, _explain):
            engine = self._engine()
            try:
                inspector = sqlalchemy.inspect(engine)
                return sorted([*inspector.get_table_names(), *inspector.get_view_names()])
            finally:
                engine.dispose()

    def _read(
        self, connection: duckdb.DuckDBPyConnection, database: sqlalchemy.Connection, request: Request
    ) -> Iterator[Batch]:
        driver_connection = database.connection.driver_connection
        if database.dialect.name == "sqlite" and driver_connection is not None:
            driver_connection.text_factory = _keep_bytes
        if (statement := IN_UTC.get(database.dialect.name)) is not None:
            database.execute(sqlalchemy.text(statement))
        relation = self._relation(database)
        names = list(database.execute(relation.limit(0)).keys())
        pieces.refuse_repeated_names(str(self.mapping.name), names)
        request = resolve_cursor(request, names)
        result = database.execute(_select(relation, request, database.dialect.name))
        fetched = (_to_arrow(names, rows) for rows in result.partitions(pieces.ROWS_A_FETCH))
        tables = gather(fetched, pa.schema([(name, pa.string()) for name in names]))
        has_rows = partial(_has_rows, database, relation.where(_column(request).is_not(None)).limit(1))
        yield from pieces.to_batches(connection, tables, self.mapping, request, 1, has_rows)

    def _engine(self) -> sqlalchemy.Engine:
        try:
            return sqlalchemy.create_engine(self.url)
        except (sqlalchemy.exc.ArgumentError, ValueError):  # whose messages quote the url, and so the password
            raise UsageError(
                f"{self.mapping.name}: url is not a valid URL.", f"Fix it in {self.mapping.file}."
            ) from None

    def _relation(self, database: sqlalchemy.Connection) -> sqlalchemy.Select[Any]:
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
        relation = found[0] if found else sqlalchemy.text(sql.replace(":", "\\:"))  # else a colon begins a parameter
        return sqlalchemy.select(sqlalchemy.text("*")).select_from(relation)


def _select(relation: sqlalchemy.Select[Any], request: Request, dialect: str) -> sqlalchemy.Select[Any]:
    column = _column(request)
    if request.look is not None:
        return relation.limit(request.look + 1)
    if request.cursor is None:
        return relation
    if request.watermark is not None:
        since = from_watermark(request.watermark, request.lookback)
        chosen = [column >= since, column.is_(None)]
        if isinstance(since, str):
            text = column if dialect == "sqlite" else sqlalchemy.cast(column, sqlalchemy.String(64))
            chosen.append(text < pieces.least_text(since))
        relation = relation.where(sqlalchemy.or_(*chosen))
    return relation.order_by(column)


def _explain(error: Exception) -> tuple[str, bool] | None:
    """Show the message of the database, unless it is about a value."""
    if not isinstance(error, sqlalchemy.exc.SQLAlchemyError):
        return None
    cause = getattr(error, "orig", None) or error
    is_about_a_value = isinstance(error, sqlalchemy.exc.DataError | sqlalchemy.exc.IntegrityError)
    text = "on a value, which is not shown" if is_about_a_value else str(cause)
    return f"{type(cause).__name__}: {text}", isinstance(error, sqlalchemy.exc.OperationalError)


def _column(request: Request) -> sqlalchemy.ColumnClause[Any]:
    return sqlalchemy.column(request.cursor or "")


def _has_rows(database: sqlalchemy.Connection, statement: sqlalchemy.Select[Any]) -> bool:
    return database.execute(statement).first() is not None


def _to_arrow(names: list[str], rows: Sequence[Any]) -> pa.Table:
    return pa.table({name: to_array([row[at] for row in rows]) for at, name in enumerate(names)})


def _keep_bytes(raw: bytes) -> str:
    """Read a text of SQLite; signs that are no UTF-8 stay as they are, for quarantine."""
    return raw.decode(errors="surrogateescape")
