"""Connectors by URL scheme, and mappings: bytes in, Arrow out. This package does not depend on the lake."""

import re
from collections.abc import Iterable

from flows.config.connections import Connection, TableMapping
from flows.core.errors import UsageError, join_usage_errors
from flows.core.names import TableName
from flows.sources.batches import Connector
from flows.sources.watermark import is_of_offsets


def connect(connection: Connection, mapping: TableMapping) -> Connector:
    """Return the connector for a connection's URL scheme; each is imported when it is first needed.

    Raises UsageError for a scheme that no connector reads, a driver that is not installed, and a function of the user's
    that cannot be imported.
    """
    found = re.match(r"([a-z][a-z0-9+.-]*):", connection.url(), re.IGNORECASE)
    scheme = found[1].lower() if found else ""
    if scheme in ("http", "https"):
        from flows.sources.rest.table import RestTable

        return RestTable(connection, mapping)
    if scheme in ("file", "s3"):
        from flows.sources.files.table import FileTable

        return FileTable(connection, mapping)
    if scheme == "python":
        from flows.sources.python.table import PythonTable

        return PythonTable.of(connection, mapping)
    if scheme == "kafka":
        from flows.sources.kafka.table import KafkaTable

        return KafkaTable.of(connection, mapping)
    if scheme:
        from flows.sources.sql import connect_sql

        return connect_sql(connection, mapping, scheme)
    raise UsageError(
        f"{connection.file}: the url of {connection.title} has no scheme.",
        "Write one, such as sqlite:///shop.sqlite, https://api.example.com or file:exports.",
    )


def usable_watermark(connection: Connection, watermark: str | None) -> str | None:
    """Return a table's watermark, or None if it was reached by a source of another kind than that of the URL."""
    return watermark if watermark is not None and is_of_offsets(watermark) == is_stream(connection) else None


def is_stream(connection: Connection) -> bool:
    """Tell whether a source goes on without an end: its tables are topics."""
    return connection.url().lower().startswith("kafka:")


def require_connectors(tables: Iterable[tuple[TableName, Connection]]) -> None:
    """Raise UsageError with every source that cannot be connected to, before anything is read."""
    errors: dict[str, UsageError] = {}
    for name, connection in tables:
        try:
            connect(connection, connection.mapping(name.table))
        except UsageError as error:
            errors.setdefault(connection.source, error)
    if errors:
        raise join_usage_errors(list(errors.values()))
