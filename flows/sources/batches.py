"""Batches of records: each connector yields them, with the watermark that the source has after each batch."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import duckdb

from flows.config.validation import Lookback
from flows.core.names import identifier
from flows.core.relation import Relation

SERVICE_COLUMNS = ("_file", "_row")
"""The place of a record: its file, table or endpoint, and its number there, from 1."""

LOOK_SECONDS = 5
"""How long a look waits for a source to answer."""

RECORD = "_record"
"""A further column for records that came as JSON text: that text."""

TOMBSTONE = "kafka_is_tombstone"
"""A column of records that is true for those that delete their key."""


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
    """A bounded number of records, and the watermark to store with them.

    `records` has the source's columns, then SERVICE_COLUMNS, and RECORD if they came as JSON text. It is valid until
    the next batch is asked for, and None if all files of the batch were loaded before.
    `read` counts all records, malformed ones too; `known_rows` counts those of files that were loaded before.
    A `watermark` of None leaves the stored one as it is. `notes` are for the user. `is_whole` is false if the source
    may have records that were not read. `has_all_columns` is false if a look may have missed columns of such records.
    `may_lack_columns` tells that each record has its own columns, so that a batch may lack some of the source's.
    """

    records: Relation | None
    read: int
    rejected: tuple[Rejected, ...] = ()
    files: tuple[SourceFile, ...] = ()
    known_rows: int = 0
    watermark: str | None = None
    notes: tuple[str, ...] = ()
    is_whole: bool = True
    has_all_columns: bool = True
    may_lack_columns: bool = False


@dataclass(frozen=True)
class ExpectedColumns:
    """The columns that a mapping reads by name: those without which it reads nothing, and all of them, folded.

    `read` is None if the mapping may read any column.
    """

    required: tuple[str, ...] = ()
    read: frozenset[str] | None = None


@dataclass(frozen=True)
class Request:
    """The request of a load to a connector; `identity` are the source's columns that tell one record from another.

    With a `look`, a connector yields the columns and so many records of its beginning, in one batch. It yields one
    record more if there are more. It asks the source once, and gives up after LOOK_SECONDS. A topic is asked after each
    batch whether that `is_enough` for this load.
    """

    watermark: str | None
    cursor: str | None
    identity: tuple[str, ...]
    lookback: Lookback
    known_rows: Callable[[SourceFile], int | None]
    work: Path
    columns: ExpectedColumns = ExpectedColumns()
    look: int | None = None
    is_enough: Callable[[], bool] = lambda: False


class Connector(Protocol):
    """A source's records, a batch at a time; `runs_query` says that a mapping's query is run by the source itself."""

    runs_query: ClassVar[bool]

    def batches(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Batch]:
        """Yield batches from the request's watermark on, with records in relations of the connection.

        Raises SourceFailed if the source cannot be read, SchemaMismatch if its columns collide.
        """
        ...


class Snapshot(Protocol):
    """One moment of a database, for several of its tables."""

    def close(self) -> None:
        """End what keeps the moment on the server."""
        ...


@dataclass(frozen=True)
class RecordSchema:
    """The columns of records with their DuckDB types: those of a source, or those that its mapping's query yielded."""

    columns: Mapping[str, str]
    is_queried: bool = False

    def __str__(self) -> str:
        return json.dumps({"queried": self.is_queried, "columns": dict(self.columns)}, ensure_ascii=False)

    def as_json(self, record: str = "") -> str:
        """Return SQL for the JSON text of a record, a struct or the columns at hand, with its numbers as they are.

        Of a float, to_json would write digits that it does not have, and of NaN what is no JSON.
        """
        parts = []
        for name, kind in self.columns.items():
            value = f"{record}.{identifier(name)}" if record else identifier(name)
            if kind in ("DOUBLE", "FLOAT"):
                number = f"to_json(cast(cast({value} as varchar) as double))"
                value = f"case when isfinite({value}) then {number} else to_json(cast({value} as varchar)) end"
            parts.append(f"{identifier(name)} := {value}")
        return f"cast(to_json(struct_pack({', '.join(parts)})) as varchar)"

    @classmethod
    def parse(cls, text: str) -> "RecordSchema":
        """Read a schema as it is written in quarantine."""
        value = json.loads(text)
        return cls(value["columns"], value["queried"])


def source_columns(records: Relation) -> Mapping[str, str]:
    """Return the source's own columns and their DuckDB types, in their order."""
    return {name: kind for name, kind in records.types.items() if name not in (*SERVICE_COLUMNS, RECORD)}
