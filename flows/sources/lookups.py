"""Lookups: further files that the query of a mapping may join, and a hash of what they hold."""

import hashlib
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import duckdb

from flows.config.connections import Connection, TableMapping
from flows.core.errors import SourceFailed, UsageError
from flows.core.names import identifier
from flows.sources.batches import Request, SourceFile
from flows.sources.files.table import FileTable

SCHEMA = "lookup"
"""The schema of lookups: their names cannot meet those of a load's own relations."""


def hash_lookups(connection: Connection, mapping: TableMapping) -> str:
    """Return a hash of the content of all lookups, so that a change reads the table again; empty without lookups."""
    digest = hashlib.sha256()
    with tempfile.TemporaryDirectory() as work:
        for name, files in _lookups(connection, mapping):
            digest.update(f"{name} ".encode())
            for file in files.files(Path(work)):
                digest.update(file.sha256.encode())
    return digest.hexdigest() if mapping.lookups else ""


def load_lookups(duck: duckdb.DuckDBPyConnection, connection: Connection, mapping: TableMapping, work: Path) -> None:
    """Make a table of each lookup, which the query reads as lookup.NAME.

    Raises SourceFailed for a lookup with a malformed record: a join would lose it in silence.
    """
    duck.execute(f"create schema if not exists {SCHEMA}")
    for name, files in _lookups(connection, mapping):
        request = Request(None, None, (), timedelta(0), _none_known, work)
        table = f"{SCHEMA}.{identifier(name)}"
        for at, batch in enumerate(files.batches(duck, request)):
            if batch.rejected:
                cause = f"the lookup {name} has {len(batch.rejected):,} malformed records"
                raise SourceFailed(str(mapping.name), cause, f"Fix its files, or {mapping.place}.format.")
            rows = f"select * exclude (_file, _row) from {batch.records}"
            duck.execute(f"insert into {table} by name {rows}" if at else f"create table {table} as {rows}")


def _lookups(connection: Connection, mapping: TableMapping) -> Iterator[tuple[str, FileTable]]:
    """Yield lookups by name: files beside those of the source, or for an API files of a `file:` URL."""
    kind = urlsplit(connection.url()).scheme if mapping.lookups else ""
    for name, origin in mapping.lookups.items():
        if kind not in ("file", "http", "https") or (kind != "file" and not origin.startswith("file:")):
            raise UsageError(
                f"{mapping.place}.lookups.{name} cannot be read.",
                "Lookups are files: a path below the source's folder, or for an API a URL such as file:FOLDER/x.csv. "
                "A database joins its tables in its own query.",
            )
        here = connection if kind == "file" else connection.model_copy(update={"url_template": "file:."})
        place = mapping.model_copy(update={"origin": origin.removeprefix("file:").removeprefix("//")})
        yield name, FileTable(here, place)


def _none_known(_file: SourceFile) -> None:
    return None
