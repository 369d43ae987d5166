"""SQL sources: SQLite through ADBC, every other database through SQLAlchemy."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import adbc_driver_sqlite.dbapi
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy
from adbc_driver_manager import Error as AdbcError

from flows.config.connections import Connection, TableMapping
from flows.core.errors import SourceFailed, UsageError
from flows.core.names import identifier, literal
from flows.core.redaction import scrub
from flows.core.relation import Relation
from flows.sources.batches import Batch, Request
from flows.sources.json_records import refuse_colliding_names
from flows.sources.watermark import from_watermark, reached

ROWS_A_BATCH = 500_000
BYTES_A_BATCH = 64 * 1024 * 1024
ROWS_A_FETCH = 5_000
LARGEST_EXACT = 2.0**53
SQL_RECORDS = "sql_records"


def connect_sql(connection: Connection, mapping: TableMapping) -> "SqliteTable | SqlTable":
    """Return the connector for a SQL URL."""
    url = connection.url()
    if url.startswith("sqlite:///"):
        return SqliteTable(Path(url.removeprefix("sqlite:///")), mapping)
    return SqlTable(url, mapping)


@dataclass(frozen=True)
class SqliteTable:
    """A table, view or query of a SQLite file, opened for reading only."""

    runs_query: ClassVar[bool] = True

    path: Path
    mapping: TableMapping

    def batches(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Batch]:
        """Yield rows in the order of the cursor, so that each batch leaves a watermark to go on from."""
        if not self.path.exists():
            raise _failed(self.mapping, f"there is no SQLite file {self.path.name}", "Fix its url in connections.yml.")
        try:
            yield from self._typed_or_text(connection, request)
        except (AdbcError, OSError) as error:
            raise _failed(self.mapping, str(error), "Fix the source or its mapping, then run again.") from None

    def _typed_or_text(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Batch]:
        """Read typed columns; where one holds several types, as SQLite allows, read on as text from there."""
        watermark, done = request.watermark, 0
        try:
            for batch in self._read(connection, request, watermark, 0, as_text=False):
                yield batch
                watermark = batch.watermark or watermark
                done += batch.read
        except (SeveralTypesError, OSError) as error:
            if "Type mismatch" not in str(error):
                raise
            yield from self._read(connection, request, watermark, done, as_text=True)

    def _read(
        self,
        connection: duckdb.DuckDBPyConnection,
        request: Request,
        watermark: str | None,
        done: int,
        *,
        as_text: bool,
    ) -> Iterator[Batch]:
        uri = f"file:{quote(str(self.path))}?mode=ro"
        with closing(adbc_driver_sqlite.dbapi.connect(uri)) as database, closing(database.cursor()) as cursor:
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(ROWS_A_FETCH)})
            cursor.execute(f"select * from {_relation(self.mapping)} limit 0")
            names = [column[0] for column in cursor.description]
            request = without_missing_cursor(request, names)
            relation = self._relation(names, as_text=as_text)
            sql, values = f"select * from {relation}", []
            if as_text:
                sql = f"select {', '.join(_marked(identifier(name)) for name in names)} from {relation} as found"
            if request.cursor is not None:
                name = f"found.{identifier(request.cursor)}" if as_text else identifier(request.cursor)
                if watermark is not None:
                    sql += f" where {name} >= ? or {name} is null"
                    values.append(_plain(from_watermark(watermark, request.lookback)))
                sql += f" order by {name}"
            elif done:
                sql += f" limit -1 offset {done}"
            cursor.execute(sql, values or None)
            reader = cursor.fetch_record_batch()
            pieces = (_one_type_a_column(pa.Table.from_batches([piece])) for piece in reader)
            tables = _read_ahead(_gathered(map(_unmarked, pieces) if as_text else pieces, reader.schema))
            newest = partial(_newest_of, database, f"select max({identifier(request.cursor or '')}) from {relation}")
            yield from _arrow_batches(connection, tables, self.mapping, request, watermark, done + 1, newest)

    def _relation(self, names: list[str], *, as_text: bool) -> str:
        relation = _relation(self.mapping)
        if not as_text:
            return relation
        texts = ", ".join(f"{_exact_text(identifier(name))} as {identifier(name)}" for name in names)
        return f"(select {texts} from {relation})"


def _newest_of(database: adbc_driver_sqlite.dbapi.Connection, sql: str) -> Any:
    with closing(database.cursor()) as cursor:
        cursor.execute(sql)
        return cursor.fetchall()[0][0]


def _read_ahead(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Fetch the next batch while this one is checked and written: the driver needs no Python meanwhile."""
    with ThreadPoolExecutor(max_workers=1) as reader:
        following = reader.submit(next, tables, None)
        while (table := following.result()) is not None:
            following = reader.submit(next, tables, None)
            yield table


class SeveralTypesError(Exception):
    """A column holds values of several types, which one type cannot keep."""


def _one_type_a_column(piece: pa.Table) -> pa.Table:
    """Refuse doubles so large that they may be whole numbers that the driver has rounded."""
    for column in piece.columns:
        if pa.types.is_float64(column.type) and (pc.max(pc.abs(column)).as_py() or 0) >= LARGEST_EXACT:
            raise SeveralTypesError("Type mismatch")
    return piece


def _exact_text(name: str) -> str:
    """SQLite writes 15 digits of a real number, which is short and mostly exact; where it is not, it takes 17."""
    short, long = f"printf('%!.15g', {name})", f"printf('%!.17g', {name})"
    real = f"case when cast({short} as real) = {name} then {short} else {long} end"
    return f"case typeof({name}) when 'real' then {real} else cast({name} as text) end"


def _marked(name: str) -> str:
    """Put a mark before every text: the driver takes a column for numbers whose first rows are all null."""
    return f"coalesce('=' || {name}, '') as {name}"


def _unmarked(piece: pa.Table) -> pa.Table:
    texts = [
        pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), pc.utf8_slice_codeunits(column, 1))
        for column in piece.columns
    ]
    return pa.table(texts, piece.column_names)


@dataclass(frozen=True)
class SqlTable:
    """A table, view or query of any database that SQLAlchemy has a driver for."""

    runs_query: ClassVar[bool] = True

    url: str
    mapping: TableMapping

    def __repr__(self) -> str:
        return f"SqlTable({self.mapping.name})"

    def batches(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Batch]:
        """Yield rows in the order of the cursor from a server-side result, so that memory stays bounded."""
        try:
            engine = sqlalchemy.create_engine(self.url)
        except ModuleNotFoundError as error:
            raise UsageError(
                f"{self.mapping.name}: the driver that its url names is not installed: {error.name}.",
                "Install it, or name another driver in the url.",
            ) from None
        except (sqlalchemy.exc.ArgumentError, ValueError):  # whose messages quote the url, and so the password
            raise UsageError(
                f"{self.mapping.name}: its url cannot be read.",
                "Signs such as @ : / in a password must be escaped: {{ env_var('PASSWORD') | urlencode }}.",
            ) from None
        try:
            with engine.connect().execution_options(stream_results=True, yield_per=ROWS_A_FETCH) as database:
                names = list(database.execute(self._relation().limit(0)).keys())
                request = without_missing_cursor(request, names)
                result = database.execute(self._select(request))
                names = list(result.keys())
                pieces = (_to_arrow(names, rows) for rows in result.partitions(ROWS_A_FETCH))
                schema = pa.schema([(name, pa.string()) for name in names])
                tables = _gathered(pieces, schema)
                largest: sqlalchemy.Select[Any] = self._relation().with_only_columns(
                    sqlalchemy.func.max(sqlalchemy.column(request.cursor or ""))
                )
                newest = partial(database.scalar, largest)
                yield from _arrow_batches(connection, tables, self.mapping, request, request.watermark, 1, newest)
        except sqlalchemy.exc.SQLAlchemyError as error:
            cause = getattr(error, "orig", None) or error
            transient = isinstance(error, sqlalchemy.exc.OperationalError)
            is_about_a_value = isinstance(error, sqlalchemy.exc.DataError | sqlalchemy.exc.IntegrityError)
            text = "on a value, which is not shown" if is_about_a_value else str(cause)
            raise SourceFailed(
                str(self.mapping.name), scrub(f"{type(cause).__name__}: {text}"), "Fix it and run again.", transient
            ) from None
        finally:
            engine.dispose()

    def _relation(self) -> sqlalchemy.Select[Any]:
        is_a_name = not self.mapping.query and re.fullmatch(r"\w+", self.mapping.origin) is not None
        escaped = _relation(self.mapping).replace(":", "\\:")  # else a colon begins a parameter
        relation = sqlalchemy.table(self.mapping.origin) if is_a_name else sqlalchemy.text(escaped)
        return sqlalchemy.select(sqlalchemy.text("*")).select_from(relation)

    def _select(self, request: Request) -> sqlalchemy.Select[Any]:
        statement = self._relation()
        if request.cursor is None:
            return statement
        column: sqlalchemy.ColumnClause[Any] = sqlalchemy.column(request.cursor)
        if request.watermark is not None:
            since = from_watermark(request.watermark, request.lookback)
            statement = statement.where(sqlalchemy.or_(column >= since, column.is_(None)))
        return statement.order_by(column)


def without_missing_cursor(request: Request, names: Sequence[str]) -> Request:
    """Ask for all rows where the source lacks the cursor's column: what is known already is a duplicate."""
    has_it = request.cursor is not None and request.cursor.casefold() in {name.casefold() for name in names}
    return request if has_it else replace(request, cursor=None, watermark=None)


def _relation(mapping: TableMapping) -> str:
    if mapping.query:
        return f"({mapping.query.strip().rstrip(';')}) as mapped"
    is_a_name = re.fullmatch(r"\w+", mapping.origin) is not None
    return identifier(mapping.origin) if is_a_name else mapping.origin


def _gathered(pieces: Iterator[pa.Table], schema: pa.Schema) -> Iterator[pa.Table]:
    """Put fetched pieces together until they are enough for a batch; if none came, yield an empty table."""
    waiting: list[pa.Table] = []
    rows = size = batches = 0
    for piece in pieces:
        waiting.append(piece)
        rows, size = rows + piece.num_rows, size + piece.nbytes
        if rows >= ROWS_A_BATCH or size >= BYTES_A_BATCH:
            yield _concatenated(waiting)
            waiting, rows, size, batches = [], 0, 0, batches + 1
    if waiting or not batches:
        yield _concatenated(waiting or [schema.empty_table()])


def _arrow_batches(
    connection: duckdb.DuckDBPyConnection,
    tables: Iterable[pa.Table],
    mapping: TableMapping,
    request: Request,
    watermark: str | None,
    first: int,
    newest: Callable[[], Any],
) -> Iterator[Batch]:
    """Make a batch of each table; a batch's watermark is the largest cursor value so far, and never moves back.

    Raises SourceFailed if the source has nothing at its watermark any more, but `newest` before it.
    """
    start, has_cursor = watermark, False
    for table in tables:
        has_cursor = has_cursor or _has_values(table, request.cursor)
        refuse_colliding_names(str(mapping.name), table.column_names)
        connection.register("arrow_rows", table.append_column("_row", pa.arange(first, first + table.num_rows)))
        query = f"select * exclude (_row), {literal(mapping.origin)} as _file, _row from arrow_rows"
        records = Relation.view(connection, SQL_RECORDS, query)
        first += table.num_rows
        watermark = reached(connection, str(records), request.cursor, watermark)
        yield Batch(records, read=table.num_rows, watermark=watermark)
    if request.cursor is not None and start is not None and not has_cursor and newest() is not None:
        raise SourceFailed(
            str(mapping.name),
            f"all that it has lies before the {request.cursor} that was read already: it is an older copy, such as a "
            "replica that is behind or a backup",
            "Read from a copy that is up to date. If its newest rows were deleted on purpose, change its mapping, for "
            "example to `where: true`: then all of it is read again, and what is known is a duplicate.",
            is_transient=True,
        )


def _has_values(table: pa.Table, cursor: str | None) -> bool:
    names = [name for name in table.column_names if cursor is not None and name.casefold() == cursor.casefold()]
    return any(table.column(name).null_count < table.num_rows for name in names)


def _concatenated(pieces: list[pa.Table]) -> pa.Table:
    """Put pieces together; a column whose type differs between them becomes text, since a wider type may round."""
    present: dict[str, set[pa.DataType]] = {}
    for piece in pieces:
        for column in piece.schema:
            if not pa.types.is_null(column.type):
                present.setdefault(column.name, set()).add(column.type)
    unlike = {name for name, types in present.items() if len(types) > 1}
    if unlike:
        pieces = [
            piece.cast(pa.schema([(one.name, pa.string() if one.name in unlike else one.type) for one in piece.schema]))
            for piece in pieces
        ]
    return pa.concat_tables(pieces, promote_options="permissive")


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


def _plain(value: Any) -> str | int | float:
    """Return a cursor value as SQLite compares it: to a number every text is larger, also one of digits."""
    if isinstance(value, str) and re.fullmatch(r"0|-?[1-9]\d*", value):
        return int(value)
    return str(value) if isinstance(value, datetime | date) else value


def _failed(mapping: TableMapping, cause: str, remedy: str) -> SourceFailed:
    return SourceFailed(str(mapping.name), scrub(cause), remedy, "locked" in cause or "busy" in cause)
