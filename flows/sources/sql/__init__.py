"""SQL sources: SQLite and PostgreSQL through ADBC, MySQL and every other database through SQLAlchemy."""

from pathlib import Path

import sqlalchemy

from flows.config.connections import Connection, TableMapping
from flows.core.errors import UsageError
from flows.core.redaction import remember_secret
from flows.sources.batches import Connector

SQLITE = "sqlite:///"
SCHEMES = (
    "Schemes are sqlite:///, postgresql://, mysql://, https://, kafka://, file: and s3:// for folders and archives, "
    "python: for your own module, and those of SQLAlchemy's dialects, such as oracle://."
)
POSTGRESQL, MYSQL = ("postgresql", "postgres"), ("mysql", "mariadb")
"""Databases that are read by the driver of the set-up, whatever driver the URL names."""


def connect_sql(connection: Connection, mapping: TableMapping, scheme: str) -> Connector:
    """Return the connector for a SQL URL; import each driver when it is first needed."""
    text, backend = connection.url(), scheme.partition("+")[0]
    try:
        if text.startswith(SQLITE):
            from flows.sources.sql.adbc import AdbcTable
            from flows.sources.sql.sqlite import Sqlite

            return AdbcTable(Sqlite(Path(text.removeprefix(SQLITE))), mapping)
        _require_dialect(scheme, mapping)
        url = _parse(text, mapping)
        if backend in POSTGRESQL:
            from flows.sources.sql.adbc import AdbcTable
            from flows.sources.sql.postgresql import Postgresql

            return AdbcTable(Postgresql(url), mapping)
        from flows.sources.sql.alchemy import AnyDialect, SqlAlchemyTable

        if backend in MYSQL:
            from flows.sources.sql.mysql import Mysql

            return SqlAlchemyTable(Mysql(), url, mapping)
        url.get_dialect().import_dbapi()
        return SqlAlchemyTable(AnyDialect(), url, mapping)
    except ImportError as error:
        module = (error.name or "its driver").partition(".")[0]
        raise UsageError(
            f"{mapping.file}: the url of {connection.title} needs the driver {module}, which is not installed.",
            f"Install it: .venv/bin/python -m pip install {module}. To keep it, add {module} to requirements.in "
            "and run `make lock`.",
        ) from None


def _require_dialect(scheme: str, mapping: TableMapping) -> None:
    """Raise UsageError for a scheme that is no database's; a drive of Windows is one too."""
    backend, _, driver = scheme.partition("+")
    if backend in (*POSTGRESQL, *MYSQL):
        return
    what = f"{mapping.file}: the url of {mapping.name.source} begins with {scheme}:"
    if len(scheme) == 1:
        raise UsageError(f"{what}, which is a drive and no scheme.", "Write file: before the path of a folder.")
    if scheme == "sqlite":
        raise UsageError(f"{what} and fewer than three slashes.", "Write sqlite:/// before the path of the file.")
    try:
        sqlalchemy.dialects.registry.load(f"{backend}.{driver}" if driver else backend)
    except sqlalchemy.exc.NoSuchModuleError:
        raise UsageError(f"{what}, a scheme that no connector reads.", SCHEMES) from None


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
