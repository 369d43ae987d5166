"""PostgreSQL for ADBC: types that Arrow or the driver would change are read as text."""

import re
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from threading import Lock
from typing import ClassVar

import adbc_driver_postgresql.dbapi
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy
from adbc_driver_manager import Error as AdbcError
from adbc_driver_manager import OperationalError
from adbc_driver_manager.dbapi import Connection as Database
from adbc_driver_manager.dbapi import Cursor as DriverCursor
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from flows.core.names import identifier, literal
from flows.sources.sql import pieces
from flows.sources.watermark import Cursor

CONNECT_SECONDS = 30
SESSION = (
    "set transaction isolation level repeatable read, read only",
    "set local lock_timeout = '60s'",
    "set local statement_timeout = '6h'",  # the time that batches take to be written counts too
    "set local idle_in_transaction_session_timeout = 0",  # the snapshot of several tables waits for the last of them
    "set local timezone = 'UTC'",
    "set local datestyle = 'ISO'",
    "set local intervalstyle = 'postgres'",
    "set local extra_float_digits = 1",
    "set local standard_conforming_strings = on",
    "set local synchronize_seqscans = off",  # so that a statement that is run again has the same order
    "set local max_parallel_workers_per_gather = 0",
)
"""Begins a table's one transaction: a snapshot that cannot write, and texts that do not depend on the server."""

BYTES_A_FETCH = 4 * 1024 * 1024
EXACT_TYPES = {
    *("bool", "int2", "int4", "int8", "float8", "text", "varchar", "bpchar", "name", "bytea"),
    *("date", "timestamp", "timestamptz"),
}
"""Types that Arrow holds exactly. All others are read as text: numeric, money, uuid, json, enums, ranges, …"""

TO_TEXT = {
    "float4": "cast(cast({} as text) as double precision)",  # 0.1 stays 0.1, not 0.10000000149
    "inet": "abbrev({})",  # its cast adds a netmask
}
EPOCH_DAYS, EPOCH_MICROSECONDS = 10_957, 946_684_800_000_000
"""From 1970 to 2000: the driver adds this to PostgreSQL's own number, which overflows for infinity."""

INFINITIES = {
    pa.int32(): ((2**31 - 1, -(2**31) + EPOCH_DAYS - 1), (-(2**31) + 1, -(2**31) + EPOCH_DAYS)),
    pa.int64(): ((2**63 - 1, -(2**63) + EPOCH_MICROSECONDS - 1), (-(2**63) + 1, -(2**63) + EPOCH_MICROSECONDS)),
}
"""DuckDB's number for infinity and -infinity, and what the driver makes of PostgreSQL's; none is a date."""

EARLIEST = {pa.int32(): -3_000_000, pa.int64(): -3 * 10**17}
"""Before 4713 BC, the first year that PostgreSQL has."""

SHOWN_STATES = ("08", "0A", "25", "28", "3D", "3F", "40", "42", "53", "54", "55", "57", "58")
"""Classes of SQLSTATE whose messages are about names, rights and resources; others may quote a value."""

TRANSIENT_STATES = ("08", "40", "53", "55", "57")
INTERRUPTED = re.compile(
    r"canceling statement due to [\w -]+|terminating connection due to [\w -]+|server closed the connection|"
    r"could not receive data from server"
)
NO_SNAPSHOT = re.compile(r"invalid snapshot identifier|snapshot .* does not exist|could not import the requested snap")
HARMLESS = re.compile(
    r"cannot execute [\w() ]+ in a read-only transaction|permission denied for \w+ \w+|division by zero|out of memory"
)
"""Errors while rows are fetched that may be shown; the driver gives them no SQLSTATE."""


class ExportedSnapshot:
    """A snapshot that the sessions of several tables read; the session that took it stays open until all have."""

    def __init__(self, url: sqlalchemy.URL) -> None:
        self._url, self._lock = url, Lock()
        self._session: Database | None = None
        self._name = ""

    def name(self) -> str:
        """Return what the server calls the snapshot, which is taken when it is first asked for."""
        with self._lock:
            if self._session is None:
                self._session = Postgresql(self._url).connect()
                with closing(self._session.cursor()) as cursor:
                    cursor.execute("select pg_export_snapshot()")
                    self._name = str(cursor.fetchall()[0][0])
            return self._name

    def close(self) -> None:
        """End the session, and with it the snapshot."""
        if self._session is not None:
            with suppress(AdbcError):  # the server may have ended it before
                self._session.close()


@dataclass(frozen=True, repr=False)
class Postgresql:
    """A PostgreSQL database; its URL holds a password and is never shown."""

    sample_rows: ClassVar[int] = 0

    url: sqlalchemy.URL
    snapshot: ExportedSnapshot | None = None

    def connect(self, seconds: int | None = None) -> Database:
        """Open a session and begin a transaction that reads one snapshot; wait so long for the server's answer.

        Raises SnapshotLost if the snapshot of several tables has ended.
        """
        name = self.snapshot and self.snapshot.name()
        database = adbc_driver_postgresql.dbapi.connect(connection_string(self.url, seconds or CONNECT_SECONDS))
        try:
            with closing(database.cursor()) as cursor:
                begin, *settings = SESSION
                cursor.execute(begin)
                if name:
                    _import_snapshot(cursor, name)
                for statement in settings:
                    cursor.execute(statement)
                if seconds is not None:
                    cursor.execute(f"set local statement_timeout = '{seconds}s'")
                cursor.execute("select current_setting('server_encoding')")
                if cursor.fetchall() == [("SQL_ASCII",)]:  # it stores bytes, and refuses those that are no UTF-8
                    cursor.execute("set local client_encoding = 'SQL_ASCII'")
        except BaseException:
            database.close()
            raise
        return database

    def share_snapshot(self) -> ExportedSnapshot:
        """Return a snapshot that several tables can share."""
        return ExportedSnapshot(self.url)

    def in_snapshot(self, snapshot: ExportedSnapshot) -> "Postgresql":
        """Return the database as it is read from a snapshot that is shared."""
        return replace(self, snapshot=snapshot)

    def statement_options(self) -> Mapping[str, str]:
        """Return how many bytes a fetch has."""
        return {"adbc.postgresql.batch_size_hint_bytes": str(BYTES_A_FETCH)}

    def table_exists(self, *parts: str) -> str:
        """Return SQL for a row if there is a table or view of that name, on the search path or in a schema."""
        name = literal(".".join(map(identifier, parts)))
        return f"select 1 from pg_class where oid = to_regclass({name})"

    def all_tables(self) -> str:
        """Return SQL for the names of all tables and views, with their schema if it is not `public`."""
        return (
            "select case table_schema when 'public' then table_name else table_schema || '.' || table_name end "
            "from information_schema.tables where table_schema not in ('pg_catalog', 'information_schema') order by 1"
        )

    def text_columns(self, table: str) -> str:
        """Return nothing: the type of a column says what it holds."""
        return ""

    def expression(self, field: pa.Field, column: str, at: int, *, as_text: bool, has_no_numbers: bool) -> str:
        """Return a column, or its text where Arrow cannot hold its type; arrays and rows become JSON."""
        kind = (field.metadata or {}).get(b"POSTGRESQL:type", b"").decode()
        if kind in EXACT_TYPES and not as_text:
            return column
        text = "cast(to_json({}) as text)" if pa.types.is_nested(field.type) else "cast({} as text)"
        return TO_TEXT.get(kind, text).format(column)

    def widen(self, planned: pa.Schema, found: pa.Schema) -> pa.Schema:
        """Return the types that were planned: the server declares them."""
        return planned

    def mixed_column(self, error: Exception) -> int | None:
        """Return None: the server declares types."""
        return None

    def is_mixed(self, field: pa.Field, column: str) -> str:
        """Return nothing: each column has one type."""
        return ""

    def decode(self, column: pa.Array, *, as_text: bool) -> pa.Array | None:
        """Return a column with infinity as DuckDB writes it, or None if it holds a year that overflows."""
        if not (pa.types.is_date32(column.type) or pa.types.is_timestamp(column.type)):
            return column
        kind = pa.int32() if pa.types.is_date32(column.type) else pa.int64()
        numbers = column.view(kind)
        if (pc.min(numbers).as_py() or 0) >= EARLIEST[kind]:
            return column
        for duckdb_number, overflown in INFINITIES[kind]:
            numbers = pc.if_else(pc.equal(numbers, overflown), pa.scalar(duckdb_number, kind), numbers)
        is_year = pc.or_(pc.greater(numbers, EARLIEST[kind]), pc.equal(numbers, INFINITIES[kind][1][0]))
        return numbers.view(column.type) if pc.all(is_year).as_py() else None

    def since(self, column: str, cursor: Cursor) -> str:
        """Return SQL for rows from a value on, whose literal takes the column's own type, and for empty cells."""
        since = f"{column} >= {literal(str(cursor))}"
        if isinstance(cursor, str):
            since += f" or cast({column} as text) < {literal(pieces.least_text(cursor))}"
        return since

    def explain(self, error: Exception) -> tuple[str, bool]:
        """Return the server's message if it cannot quote a value, and whether the failure may pass."""
        text, state = str(error), getattr(error, "sqlstate", None) or ""
        if interrupted := INTERRUPTED.search(text):
            return interrupted[0], True
        if "Failed to connect" in text or state[:2] in SHOWN_STATES:
            message = re.search(r"(?:Failed to connect|ERROR|FATAL): +([^\n]*)", text)
            is_transient = isinstance(error, OperationalError) or state[:2] in TRANSIENT_STATES
            return message[1] if message else f"SQLSTATE {state}", is_transient
        harmless = HARMLESS.search(text)
        return harmless[0] if harmless else f"an error on a value, which is not shown {state}".rstrip(), False


def _import_snapshot(cursor: DriverCursor, name: str) -> None:
    try:
        cursor.execute(f"set transaction snapshot {literal(name)}")
    except AdbcError as error:
        if NO_SNAPSHOT.search(str(error)):
            raise pieces.SnapshotLost from None
        raise


def connection_string(url: sqlalchemy.URL, seconds: int) -> str:
    """Write a URL as libpq's `key='value'` pairs; its own time-out counts, if it has one."""
    _, arguments = PGDialect_psycopg().create_connect_args(url)  # type: ignore[no-untyped-call]
    arguments = {"connect_timeout": seconds, **arguments, "client_encoding": "utf8"}
    escaped = {name: re.sub(r"([\\'])", r"\\\1", str(value)) for name, value in arguments.items()}
    return " ".join(f"{name}='{value}'" for name, value in escaped.items())
