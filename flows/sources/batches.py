"""What every connector yields: a bounded batch of records in a DuckDB connection, and where the source then stands."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Protocol

import duckdb

SOURCE = "source"
"""Name of the relation that holds a batch's records: the source's columns, then `_file` and `_row`."""

SERVICE_COLUMNS = ("_file", "_row")
"""Where a record stood: file, table or endpoint, and its number within it, from 1."""


RECORD = "_record"
"""A further column of `source`, where a record came as a text of its own: that text."""


@dataclass(frozen=True)
class Rejected:
    """A record that could not even be read as one, as it came."""

    raw: bytes
    reason: str
    position: str


@dataclass(frozen=True)
class SourceFile:
    """A file, and what tells it from others; `name` is relative to the connection's URL, and `size` in bytes."""

    name: str
    sha256: str
    path: Path
    size: int


@dataclass(frozen=True)
class Batch:
    """A bounded number of records, in the relation `source` of the connection that they were extracted with.

    `read` counts all of them, `known_rows` those of files that were loaded before and were not read again.
    `watermark` is where the source stands once the batch is committed; None leaves it as it was. `notes` are what
    someone should know of the source; `is_whole` is false where the source may have records that were not read.
    """

    read: int
    rejected: tuple[Rejected, ...] = ()
    files: tuple[SourceFile, ...] = ()
    known_rows: int = 0
    watermark: str | None = None
    notes: tuple[str, ...] = ()
    is_whole: bool = True


@dataclass(frozen=True)
class Request:
    """What a load asks a connector for; `identity` are the source's columns that tell one record from another."""

    watermark: str | None
    cursor: str | None
    identity: tuple[str, ...]
    lookback: timedelta
    known_rows: Callable[[SourceFile], int | None]
    work: Path


class Connector(Protocol):
    """A source's records, a batch at a time; `runs_query` says that a mapping's query is run by the source itself."""

    runs_query: ClassVar[bool]

    def batches(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Batch]:
        """Yield batches from the request's watermark on; each replaces the relation `source`.

        Raises SourceFailed if the source cannot be read, SchemaMismatch if its columns collide.
        """
        ...


def source_columns(connection: duckdb.DuckDBPyConnection, relation: str = SOURCE) -> Mapping[str, str]:
    """Return a relation's columns and their DuckDB types, service columns left out."""
    described = connection.execute(f"describe select * from {relation}").fetchall()
    return {name: kind for name, kind, *_ in described if name not in (*SERVICE_COLUMNS, RECORD)}
