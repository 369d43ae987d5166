"""Records of files on their way into a batch: the steps that all formats share."""

from collections.abc import Callable, Sequence

import duckdb
import pyarrow as pa

from flows.core.names import literal
from flows.core.relation import Relation
from flows.sources.batches import Rejected, SourceFile

LANDED = "landed_files"
"""The table that files are read into: their columns, then `_at` and `_row`.

`_at` is a file's place among all that are read: DuckDB joins a number faster than a path. `_row` is null if the rows of
a file came in their order.
"""

LANDED_NAMES, LANDED_RECORDS = "landed_names", "landed_records"


def paths_of(files: Sequence[SourceFile]) -> str:
    """Return the paths of files as a list in SQL."""
    return f"[{', '.join(literal(str(file.path)) for file in files)}]"


def land(
    files: Sequence[SourceFile],
    first: int,
    insert: Callable[[Sequence[SourceFile], int], None],
    read_again: Callable[[SourceFile, int], list[Rejected]],
) -> list[Rejected]:
    """Insert files in one statement; read a file that DuckDB refuses again, and return its malformed records.

    Both functions take the `_at` of their first file, which is `first` for the first of all.
    """
    try:
        insert(files, first)
    except duckdb.Error:
        if len(files) == 1:
            return read_again(files[0], first)
        return [
            rejected for at, file in enumerate(files, start=first) for rejected in land([file], at, insert, read_again)
        ]
    return []


def insert_arrow(connection: duckdb.DuckDBPyConnection, rows: pa.Table | pa.RecordBatchReader, at: int) -> None:
    """Insert the rows of one file, which have their `_row`."""
    connection.register("arrow_file", rows)
    connection.execute(f"insert into {LANDED} by name select *, {at} as _at from arrow_file")
    connection.unregister("arrow_file")


def number_and_name(connection: duckdb.DuckDBPyConnection, files: Sequence[SourceFile]) -> Relation:
    """Return all landed rows: numbered within their file as they came, with the file's name as users know it."""
    names = pa.table({"_at": pa.array(range(len(files)), pa.int64()), "_file": [file.name for file in files]})
    connection.register("arrow_names", names)
    Relation.table(
        connection,
        LANDED_NAMES,
        "select _at, _file, first from arrow_names "
        f"inner join (select _at, min(rowid) as first from {LANDED} group by _at) using (_at)",
    )
    connection.unregister("arrow_names")
    return Relation.view(
        connection,
        LANDED_RECORDS,
        "select landed.* exclude (_at, _row), named._file, "
        "coalesce(landed._row, landed.rowid - named.first + 1) as _row "
        f"from {LANDED} as landed inner join {LANDED_NAMES} as named on landed._at = named._at",
    )
