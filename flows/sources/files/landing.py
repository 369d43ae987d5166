"""Records of files on their way into a batch: the steps that all formats share."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from flows.config.file_format import FileFormat
from flows.core.names import folded, identifier, literal
from flows.core.relation import Relation
from flows.sources.batches import ExpectedColumns, Rejected, SourceFile
from flows.sources.files.archives import is_packed

LANDED = "landed_files"
"""The table that files are read into: `_at`, `_row`, then their columns under names of our own (see ColumnNames).

`_at` is a file's place among all that are read: DuckDB joins a number faster than a path. `_row` is null if the rows of
a file came in their order.
"""

LANDED_RECORDS = "landed_records"

MANY_COLUMNS, MEMORY_MB, MEMORY_MB_A_COLUMN = 250, 400, 0.3
"""A table of more columns is loaded by one thread, which has so much memory.

Each of some ten steps of a load holds 2,048 values of 16 bytes a column, and would do so for every thread.
"""


@dataclass(frozen=True)
class Reading:
    """The facts that every reader needs of a table; `place` is where the connections file says how it is read.

    `look` is the number of records that are enough, for readers that can stop early. `sheet` is the address of a sheet
    and range of a workbook.
    """

    connection: duckdb.DuckDBPyConnection
    table: str
    place: str
    format: FileFormat
    columns: ExpectedColumns
    look: int | None = None
    sheet: str = ""

    @property
    def name_columns(self) -> str:
        """The remedy for a file whose first record is taken for a header."""
        return f"If the file has no header, name its columns in {self.place}: format: {{header: [NAME, …]}}."

    @property
    def name_encoding(self) -> str:
        """The remedy for a file that is not UTF-8."""
        return f"Name its encoding in {self.place}, such as format: {{encoding: utf-16}}."


@dataclass(frozen=True)
class FileRecords:
    """The records of files that were read together, those that are malformed, and notes for the user."""

    files: tuple[SourceFile, ...]
    records: Relation
    rejected: tuple[Rejected, ...] = ()
    notes: tuple[str, ...] = ()


Reader = Callable[[Reading, Sequence[SourceFile]], Iterator[FileRecords]]
"""Reads files of one format, in their order; records are valid until the next are asked for."""


class ColumnNames:
    """The columns of several files under names of our own, which no column of a file can have."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, str]] = {}

    def add(self, name: str) -> str:
        """Return our name for a column; names that differ by case or Unicode form alone are one column."""
        return self._known.setdefault(folded(name), (f"c{len(self._known)}", name))[0]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        yield from self._known.values()


def bound_memory(connection: duckdb.DuckDBPyConnection, columns: int) -> None:
    """Let a load of very many columns use one thread, and as much memory as it needs."""
    if columns > MANY_COLUMNS:
        connection.execute("set threads = 1")
        connection.execute(f"set memory_limit = '{MEMORY_MB + columns * MEMORY_MB_A_COLUMN:.0f}MB'")


class CountsDiffer(Exception):
    """DuckDB found another number of records in a file than it has."""


def paths_of(files: Sequence[SourceFile]) -> str:
    """Return the paths of files as a list in SQL; a sign of a pattern is only itself."""
    paths = ("".join(f"[{sign}]" if sign in "*?[" else sign for sign in str(file.path)) for file in files)
    return f"[{', '.join(map(literal, paths))}]"


def packed_paths_of(files: Sequence[SourceFile]) -> str:
    """Return the paths of files, and how they are packed: DuckDB would guess it, and not see it in `a?.csv.gz`.

    Raises an error of DuckDB if only some of the files are packed, so that each is read by itself.
    """
    packed = {is_packed(file.path) for file in files}
    if len(packed) > 1:
        raise duckdb.InvalidInputException("files are packed in several ways")
    return f"{paths_of(files)}, compression = '{'gzip' if True in packed else 'none'}'"


def land(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[SourceFile],
    first: int,
    insert: Callable[[Sequence[SourceFile], int], None],
    read_again: Callable[[SourceFile, int], list[Rejected]],
    count: Callable[[SourceFile], int | None],
) -> list[Rejected]:
    """Insert files in one statement; read a file that DuckDB refuses again, and return its malformed records.

    The first two functions take the `_at` of their first file, which is `first` for the first of all. `count` returns
    how many records a file must have, if that is known: DuckDB's result is kept only if it has as many.
    """
    connection.execute("begin")
    try:
        insert(files, first)
        _require_counts(connection, files, first, count)
    except (duckdb.Error, CountsDiffer):
        connection.execute("rollback")
        if len(files) == 1:
            return read_again(files[0], first)
        return [
            rejected
            for at, file in enumerate(files, start=first)
            for rejected in land(connection, [file], at, insert, read_again, count)
        ]
    connection.execute("commit")
    return []


def _require_counts(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[SourceFile],
    first: int,
    count: Callable[[SourceFile], int | None],
) -> None:
    sql = f"select _at, count(*) from {LANDED} where _at >= {first} group by _at"
    found = Counter(dict(connection.execute(sql).fetchall()))
    for at, file in enumerate(files, start=first):
        if (wanted := count(file)) is not None and wanted != found[at]:
            raise CountsDiffer


def insert_arrow(connection: duckdb.DuckDBPyConnection, rows: pa.Table | pa.RecordBatchReader, at: int) -> None:
    """Insert the rows of one file, which have their `_row`."""
    connection.register("arrow_file", rows)
    connection.execute(f"insert into {LANDED} by name select *, {at} as _at from arrow_file")
    connection.unregister("arrow_file")


def number_and_name(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[SourceFile],
    columns: ColumnNames,
    untyped: Sequence[str] = (),
) -> Relation:
    """Return all landed rows: numbered within their file as they came, with the file's name as users know it.

    Columns that are `untyped` did not land, because no row has a value.
    """
    first = dict(connection.execute(f"select _at, min(rowid) from {LANDED} group by _at").fetchall())
    names = ", ".join(literal(file.name) for file in files)
    before = ", ".join(str(first.get(at, 0) - 1) for at in range(len(files)))
    listed = "".join(f"{own} as {identifier(name)}, " for own, name in columns)
    listed += "".join(f"null as {identifier(name)}, " for name in untyped)
    return Relation.view(
        connection,
        LANDED_RECORDS,
        f"select {listed}(list_value({names}))[_at + 1]::varchar as _file, "
        f"coalesce(_row, rowid - (list_value({before}))[_at + 1]) as _row from {LANDED}",
    )
