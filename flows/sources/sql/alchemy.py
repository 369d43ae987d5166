"""Tables of every database that SQLAlchemy has a driver for."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar

import duckdb
import pyarrow as pa
import sqlalchemy

from flows.config.connections import TableMapping
from flows.core.errors import SourceFailed, UsageError
from flows.core.redaction import scrub
from flows.sources.batches import Batch, Request
from flows.sources.sql import pieces
from flows.sources.watermark import from_watermark


@dataclass(frozen=True, repr=False)
class SqlAlchemyTable:
    """A table, view or query of a database; its URL holds a password and is never shown."""

    runs_query: ClassVar[bool] = True

    url: sqlalchemy.URL
    mapping: TableMapping

    def batches(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Batch]:
        """Yield rows in the order of the cursor from a server-side result, so that memory stays bounded."""
        engine = self._engine()
        try:
            options = {"stream_results": True, "yield_per": pieces.ROWS_A_FETCH}
            with engine.connect().execution_options(**options) as database:
                names = list(database.execute(self._relation().limit(0)).keys())
                request = pieces.resolve_cursor(request, names)
                result = database.execute(self._select(request))
                fetched = (_to_arrow(names, rows) for rows in result.partitions(pieces.ROWS_A_FETCH))
                tables = pieces.gather(fetched, pa.schema([(name, pa.string()) for name in names]))
                any_row = self._relation().where(_column(request).is_not(None)).limit(1)
                has_rows = partial(_has_rows, database, any_row)
                yield from pieces.to_batches(connection, tables, self.mapping, request, 1, has_rows)
        except sqlalchemy.exc.SQLAlchemyError as error:
            raise self._failed(error) from None
        finally:
            engine.dispose()

    def _engine(self) -> sqlalchemy.Engine:
        try:
            return sqlalchemy.create_engine(self.url)
        except ModuleNotFoundError as error:
            raise UsageError(
                f"{self.mapping.name}: the driver that its url names is not installed: {error.name}.",
                "Install it, or name another driver in the url.",
            ) from None
        except (sqlalchemy.exc.ArgumentError, ValueError):  # whose messages quote the url, and so the password
            raise UsageError(
                f"{self.mapping.name}: url is not a valid URL.", f"Fix it in {self.mapping.file}."
            ) from None

    def _failed(self, error: sqlalchemy.exc.SQLAlchemyError) -> SourceFailed:
        cause = getattr(error, "orig", None) or error
        is_about_a_value = isinstance(error, sqlalchemy.exc.DataError | sqlalchemy.exc.IntegrityError)
        text = "on a value, which is not shown" if is_about_a_value else str(cause)
        is_transient = isinstance(error, sqlalchemy.exc.OperationalError)
        message = scrub(f"{type(cause).__name__}: {text}")
        return SourceFailed(str(self.mapping.name), message, "Fix it and run again.", is_transient)

    def _relation(self) -> sqlalchemy.Select[Any]:
        is_name = pieces.is_plain_name(self.mapping)
        escaped = pieces.relation_of(self.mapping).replace(":", "\\:")  # else a colon begins a parameter
        relation = sqlalchemy.table(self.mapping.origin) if is_name else sqlalchemy.text(escaped)
        return sqlalchemy.select(sqlalchemy.text("*")).select_from(relation)

    def _select(self, request: Request) -> sqlalchemy.Select[Any]:
        statement, column = self._relation(), _column(request)
        if request.cursor is None:
            return statement
        if request.watermark is not None:
            since = from_watermark(request.watermark, request.lookback)
            statement = statement.where(sqlalchemy.or_(column >= since, column.is_(None)))
        return statement.order_by(column)


def _column(request: Request) -> sqlalchemy.ColumnClause[Any]:
    return sqlalchemy.column(request.cursor or "")


def _has_rows(database: sqlalchemy.Connection, statement: sqlalchemy.Select[Any]) -> bool:
    return database.execute(statement).first() is not None


def _to_arrow(names: list[str], rows: Sequence[Any]) -> pa.Table:
    """Make a table from rows; values that Arrow has no one type for become text, as JSON where they are nested."""
    columns = {name: [_plain_value(row[at]) for row in rows] for at, name in enumerate(names)}
    arrays = {}
    for name, values in columns.items():
        try:
            arrays[name] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            arrays[name] = pa.array([None if value is None else str(value) for value in values], pa.string())
    return pa.table(arrays)


def _plain_value(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float | bool | bytes | Decimal | datetime | date | time):
        return value
    if isinstance(value, memoryview):
        return bytes(value)
    return json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)
