"""PostgreSQL for ADBC: types that Arrow or the driver would change are read as text."""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

import adbc_driver_postgresql.dbapi
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy
from adbc_driver_manager import OperationalError
from adbc_driver_manager.dbapi import Connection as Database
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from flows.core.names import literal
from flows.sources.sql.adbc import InexactError
from flows.sources.watermark import Cursor

CONNECT_SECONDS = 30
SESSION = (
    "set transaction isolation level repeatable read, read only",
    "set local lock_timeout = '60s'",
    "set local statement_timeout = '6h'",  # the time that batches take to be written counts too
    "set local timezone = 'UTC'",
    "set local datestyle = 'ISO'",
    "set local intervalstyle = 'postgres'",
    "set local extra_float_digits = 1",
    "set local standard_conforming_strings = on",
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
EARLIEST_DAY, EARLIEST_MICROSECOND = -3_000_000, -3 * 10**17
"""Before 4713 BC, the first year that PostgreSQL has: the driver overflows to there for infinity."""

SHOWN_STATES = ("08", "0A", "25", "28", "3D", "3F", "40", "42", "53", "54", "55", "57", "58")
"""Classes of SQLSTATE whose messages are about names, rights and resources; others may quote a value."""

TRANSIENT_STATES = ("08", "40", "53", "55", "57")
INTERRUPTED = re.compile(
    r"canceling statement due to [\w -]+|terminating connection due to [\w -]+|server closed the connection|"
    r"could not receive data from server"
)
HARMLESS = re.compile(
    r"cannot execute [\w() ]+ in a read-only transaction|permission denied for \w+ \w+|division by zero|out of memory"
)
"""Errors while rows are fetched that may be shown; the driver gives them no SQLSTATE."""


@dataclass(frozen=True, repr=False)
class Postgresql:
    """A PostgreSQL database; its URL holds a password and is never shown."""

    url: sqlalchemy.URL

    def connect(self) -> Database:
        """Open a session and begin a transaction that reads one snapshot."""
        database = adbc_driver_postgresql.dbapi.connect(_connection_string(self.url))
        try:
            with closing(database.cursor()) as cursor:
                for statement in SESSION:
                    cursor.execute(statement)
        except BaseException:
            database.close()
            raise
        return database

    def statement_options(self) -> Mapping[str, str]:
        """Return how many bytes a fetch has."""
        return {"adbc.postgresql.batch_size_hint_bytes": str(BYTES_A_FETCH)}

    def expression(self, field: pa.Field, column: str, *, as_text: bool) -> str:
        """Return a column, or its text where Arrow cannot hold its type; arrays and rows become JSON."""
        kind = (field.metadata or {}).get(b"POSTGRESQL:type", b"").decode()
        if kind in EXACT_TYPES and not as_text:
            return column
        text = "cast(to_json({}) as text)" if pa.types.is_nested(field.type) else "cast({} as text)"
        return TO_TEXT.get(kind, text).format(column)

    def decode(self, reader: pa.RecordBatchReader, *, as_text: bool) -> Iterator[pa.Table]:
        """Yield fetched pieces; raises InexactError for an infinite date."""
        for batch in reader:
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                if _is_infinite(column):
                    raise InexactError(
                        f"column {name} holds an infinite date or time, which would be read as another one",
                        f"Read it as text, by a query in its mapping: select …, cast({name} as text) as {name} from …",
                    )
            yield pa.Table.from_batches([batch])

    def literal(self, cursor: Cursor) -> str:
        """Write a cursor value as a literal that takes the column's own type."""
        return literal(str(cursor))

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


def _connection_string(url: sqlalchemy.URL) -> str:
    """Write a URL as libpq's `key='value'` pairs."""
    _, arguments = PGDialect_psycopg().create_connect_args(url)  # type: ignore[no-untyped-call]
    arguments = {"connect_timeout": CONNECT_SECONDS, **arguments, "client_encoding": "utf8"}
    escaped = {name: re.sub(r"([\\'])", r"\\\1", str(value)) for name, value in arguments.items()}
    return " ".join(f"{name}='{value}'" for name, value in escaped.items())


def _is_infinite(column: pa.Array) -> bool:
    if pa.types.is_date32(column.type):
        smallest, earliest = pc.min(column.view(pa.int32())), EARLIEST_DAY
    elif pa.types.is_timestamp(column.type):
        smallest, earliest = pc.min(column.view(pa.int64())), EARLIEST_MICROSECOND
    else:
        return False
    return bool(smallest.is_valid and smallest.as_py() < earliest)
