"""Connectors by URL scheme, and mappings: bytes in, Arrow out. This package does not depend on the lake."""

from urllib.parse import urlsplit

from flows.config.connections import Connection, TableMapping
from flows.core.errors import UsageError
from flows.sources.batches import Connector


def connect(connection: Connection, mapping: TableMapping) -> Connector:
    """Return the connector for a connection's URL scheme; each is imported when it is first needed."""
    scheme = urlsplit(connection.url()).scheme
    if scheme in ("http", "https"):
        from flows.sources.rest.table import RestTable

        return RestTable(connection, mapping)
    if scheme == "file":
        from flows.sources.files.table import FileTable

        return FileTable(connection, mapping)
    if scheme:
        from flows.sources.sql import connect_sql

        return connect_sql(connection, mapping)
    raise UsageError(
        f"{connection.file}: the url of {connection.source} has no scheme.",
        "Write one, such as sqlite:///shop.sqlite, https://api.example.com or file:exports.",
    )
