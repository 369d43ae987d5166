"""SQL sources: SQLite and PostgreSQL through ADBC, every other database through SQLAlchemy."""

from pathlib import Path

import sqlalchemy

from flows.config.connections import Connection, TableMapping
from flows.core.errors import UsageError
from flows.core.redaction import remember_secret
from flows.sources.batches import Connector

SQLITE = "sqlite:///"
POSTGRESQL_DRIVERS = ("postgresql", "postgres", "postgresql+adbc", "postgresql+psycopg", "postgresql+psycopg2")
"""Schemes that ADBC reads. It needs no psycopg, and takes the same URLs."""


def connect_sql(connection: Connection, mapping: TableMapping) -> Connector:
    """Return the connector for a SQL URL; import each driver when it is first needed."""
    text = connection.url()
    if text.startswith(SQLITE):
        from flows.sources.sql.adbc import AdbcTable
        from flows.sources.sql.sqlite import Sqlite

        return AdbcTable(Sqlite(Path(text.removeprefix(SQLITE))), mapping)
    url = _parse(text, mapping)
    if url.drivername in POSTGRESQL_DRIVERS:
        from flows.sources.sql.adbc import AdbcTable
        from flows.sources.sql.postgresql import Postgresql

        return AdbcTable(Postgresql(url), mapping)
    from flows.sources.sql.alchemy import SqlAlchemyTable

    return SqlAlchemyTable(url, mapping)


def _parse(text: str, mapping: TableMapping) -> sqlalchemy.URL:
    """Read a URL; its text never gets into an error, since it may hold a password."""
    try:
        url = sqlalchemy.make_url(text)
        if "@" in (url.host or ""):
            raise ValueError("the password holds an @ that is not escaped")
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise UsageError(
            f"{mapping.name}: url is not a valid URL.",
            "Signs such as @ : / in a password must be escaped: {{ env_var('PASSWORD') | urlencode }}.",
        ) from None
    if url.password:
        remember_secret(url.password)
    return url
