"""MySQL and MariaDB for SQLAlchemy: sessions that read one snapshot in UTC, and values that PyMySQL would change."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pymysql
import sqlalchemy
from pymysql.constants import CR, ER, FIELD_TYPE
from pymysql.converters import conversions, convert_datetime
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql

from flows.core.errors import SchemaMismatch
from flows.sources.sql.alchemy import AnyDialect, Conditions, Expressions
from flows.sources.watermark import Cursor

CONNECT_SECONDS = 30
LOCK_SECONDS = 60
STATEMENT_SECONDS = 6 * 60 * 60
"""The time that batches take to be written counts too."""

SESSION = (
    "set session time_zone = '+00:00'",
    "set session transaction isolation level repeatable read",
    "set session lock_wait_timeout = {lock}",
    "set session net_write_timeout = {statement}",  # else the server hangs up while a batch is written
    "set session wait_timeout = {statement}",
    "set session sql_mode = replace(replace(@@sql_mode, 'NO_ZERO_IN_DATE', ''), 'NO_ZERO_DATE', '')",
)
"""Begins a session, in both servers: times in UTC, and comparisons with zero dates that raise nothing."""

LIMIT_STATEMENTS = {
    True: "set session max_statement_time = {statement}",
    False: "set session max_execution_time = {statement}000",
}
"""By whether the server is MariaDB: SQL for a time-out of statements."""

SNAPSHOT = "start transaction with consistent snapshot, read only"

TIMES = (FIELD_TYPE.DATE, FIELD_TYPE.NEWDATE, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP)
FIRST_DATE = "0001-01-01"
"""The date before which zero dates lie, 0000-00-00."""

TRANSIENT = {
    *(ER.CON_COUNT_ERROR, ER.HOST_IS_BLOCKED, ER.SERVER_SHUTDOWN, ER.LOCK_WAIT_TIMEOUT, ER.LOCK_DEADLOCK),
    *(ER.NEW_ABORTING_CONNECTION, ER.NET_READ_ERROR, ER.NET_READ_INTERRUPTED, ER.NET_ERROR_ON_WRITE),
    *(ER.NET_WRITE_INTERRUPTED, ER.QUERY_INTERRUPTED, ER.TOO_MANY_USER_CONNECTIONS, ER.USER_LIMIT_REACHED),
    *(CR.CR_CONNECTION_ERROR, CR.CR_CONN_HOST_ERROR, CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST),
    *(0, 1927, 1969, 3024),  # the session was cut off or killed, and a statement took too long
}
"""Errors that may pass; 0 is a session that was cut off."""

SHOWN = TRANSIENT | {
    *(ER.DBACCESS_DENIED_ERROR, ER.ACCESS_DENIED_ERROR, ER.BAD_DB_ERROR, ER.NO_SUCH_TABLE, ER.BAD_FIELD_ERROR),
    *(ER.PARSE_ERROR, ER.TABLEACCESS_DENIED_ERROR, ER.COLUMNACCESS_DENIED_ERROR, ER.SPECIFIC_ACCESS_DENIED_ERROR),
    *(ER.HOST_NOT_PRIVILEGED, ER.NO_DB_ERROR, ER.NON_UNIQ_ERROR, ER.DUP_FIELDNAME, ER.VIEW_INVALID),
    *(ER.SP_DOES_NOT_EXIST, ER.UNKNOWN_STORAGE_ENGINE, ER.OUT_OF_RESOURCES, ER.OUTOFMEMORY, CR.CR_UNKNOWN_HOST),
    *(1130, 1251, 1290, 1792, 2059),  # hosts, ways to log in, and statements that may not run in the session
}
"""Errors whose messages are about names, rights and resources; others may quote a value."""


def _utc(text: str) -> Any:
    """Read a timestamp, which the session has in UTC; a zero date stays a text."""
    moment = convert_datetime(text)
    return moment.replace(tzinfo=UTC) if isinstance(moment, datetime) else moment


CONVERSIONS = {
    **conversions,
    FIELD_TYPE.TIMESTAMP: _utc,
    FIELD_TYPE.TIME: str,  # of 838 hours at most, with its sign
    FIELD_TYPE.BIT: int.from_bytes,
}
"""How PyMySQL reads values. A date that Python lacks, such as 0000-00-00, stays the text that the server sent."""


class Mysql(AnyDialect):
    """MySQL and MariaDB, whose values and sessions need more than SQL that all databases have."""

    has_snapshots: ClassVar[bool] = True

    def engine(self, url: sqlalchemy.URL, seconds: int | None) -> sqlalchemy.Engine:
        """Return an engine of PyMySQL, whatever driver the URL names; wait so many seconds for an answer."""
        options: dict[str, Any] = {"charset": "utf8mb4", "conv": CONVERSIONS}
        if seconds is not None:
            options |= {"connect_timeout": seconds, "read_timeout": seconds}
        elif "connect_timeout" not in url.query:
            options["connect_timeout"] = CONNECT_SECONDS
        return sqlalchemy.create_engine(url.set(drivername="mysql+pymysql"), connect_args=options)

    def begin(self, database: sqlalchemy.Connection, seconds: int | None) -> None:
        """Begin a transaction that reads one snapshot and cannot write, in UTC, with time-outs."""
        assert isinstance(database.dialect, MySQLDialect_pymysql)
        limits = {"lock": seconds or LOCK_SECONDS, "statement": seconds or STATEMENT_SECONDS}
        for statement in (*SESSION, LIMIT_STATEMENTS[database.dialect.is_mariadb], SNAPSHOT):
            database.exec_driver_sql(statement.format(**limits))

    def expressions(self, table: str, kinds: Mapping[str, Any]) -> Expressions:
        """Return SQL for floats, which the server would send with six digits; raises SchemaMismatch for geometry."""
        if shapes := [name for name, kind in kinds.items() if kind == FIELD_TYPE.GEOMETRY]:
            raise SchemaMismatch(
                table,
                f"geometry is not read, and these columns hold it: {', '.join(shapes)}",
                tuple(kinds),
                f"Write a query in the mapping that reads ST_AsText({shapes[0]}), or leaves the column out.",
            )
        floats = [name for name, kind in kinds.items() if kind == FIELD_TYPE.FLOAT]
        return {name: sqlalchemy.column(name) + sqlalchemy.literal_column("0e0") for name in floats}

    def decode(self, column: pa.Array) -> pa.Array:
        """Return floats as the shortest numbers that mean the same: 0.1, not 0.10000000149."""
        return pc.cast(pc.cast(pc.cast(column, pa.float32()), pa.string()), pa.float64())

    def since(self, column: sqlalchemy.ColumnClause[Any], cursor: Cursor, kind: Any, dialect: str) -> Conditions:
        """Return conditions for the rows from a value on, and for zero dates, which lie before all other times."""
        if kind == FIELD_TYPE.FLOAT and isinstance(cursor, float):
            cursor = pa.scalar(cursor, pa.float32()).as_py()  # the server compares 0.7 with 0.69999998
        if kind not in TIMES:
            return super().since(column, cursor, kind, dialect)
        return [column >= _as_server_time(cursor), column < FIRST_DATE]

    def discard(self, driver_cursor: Any) -> None:
        """Let a cursor end without fetching the rows that are left, as the driver would even without a server."""
        if driver_cursor is not None and driver_cursor._result is not None:
            driver_cursor._result.unbuffered_active = False

    def ends_transaction(self, error: sqlalchemy.exc.DBAPIError) -> bool:
        """Tell whether the session was cut off, or its transaction was rolled back to resolve a deadlock."""
        return super().ends_transaction(error) or ER.LOCK_DEADLOCK in getattr(error.orig, "args", ())

    def explain(self, error: Exception) -> tuple[str, bool] | None:
        """Return the server's message if it cannot quote a value, and whether the failure may pass."""
        cause = getattr(error, "orig", None) or error
        if not isinstance(cause, pymysql.err.Error):
            return super().explain(error)
        number = next((one for one in cause.args if isinstance(one, int)), None)
        if number in SHOWN:
            return str(cause.args[-1]) or "the server ended the session", number in TRANSIENT
        return f"an error on a value, which is not shown ({number})", False


def _as_server_time(cursor: Cursor) -> str:
    """Write a cursor value as a time in UTC; a column with zero dates, which are texts, has its cursor as a text."""
    if isinstance(cursor, str):
        with suppress(ValueError):
            cursor = datetime.fromisoformat(cursor)
    if isinstance(cursor, datetime) and cursor.tzinfo is not None:
        cursor = cursor.astimezone(UTC).replace(tzinfo=None)
    return cursor.isoformat(" ") if isinstance(cursor, datetime) else str(cursor)
