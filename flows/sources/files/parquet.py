"""Parquet files, read as they are typed."""

from collections.abc import Sequence

import duckdb
import pyarrow as pa
from pyarrow import parquet

from flows.core.errors import SourceFailed
from flows.core.relation import Relation
from flows.sources.batches import Rejected, SourceFile
from flows.sources.files.landing import LANDED, number_and_name, paths_of
from flows.sources.json_records import refuse_colliding_names


def read_parquet(
    connection: duckdb.DuckDBPyConnection, files: Sequence[SourceFile], table: str
) -> tuple[Relation, tuple[Rejected, ...]]:
    """Return the records of Parquet files; none of them can be malformed.

    Columns that only some files have are null for the others. Raises SourceFailed if a file is no Parquet.
    """
    try:
        for file in files:
            refuse_colliding_names(table, parquet.read_schema(file.path).names)
        connection.execute(
            f"create or replace temp table {LANDED} as "
            "select *, file_index as _at, file_row_number + 1 as _row "
            f"from read_parquet({paths_of(files)}, union_by_name = true, hive_partitioning = false)"
        )
    except (duckdb.Error, pa.ArrowInvalid) as error:
        raise SourceFailed(
            table,
            f"{file.name}, or a file that was read with it, cannot be read as Parquet: {type(error).__name__}",
            "Fix the file.",
        ) from None
    return number_and_name(connection, files), ()
