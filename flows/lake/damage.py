"""Damage of the lake's tables: files that are gone, cut or unreadable, and log entries that vanished."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from flows.core.errors import StorageFailed
from flows.core.names import TableName, literal
from flows.core.storage import lake_table_damaged, s3_failure
from flows.lake.content import stored_rows
from flows.lake.copies import file_sizes, local_files
from flows.lake.delta import carried, log_entries, open_table, query
from flows.lake.quarantine import quarantine_path
from flows.lake.raw import RawTable, raw_path

OPERATIONS = ("loads", "runs", "files", "contracts", "releases", "incidents")


def require_whole(path: Path) -> None:
    """Require that a table's log and files are all there, each as long as it was written; nothing is read of a file.

    Raises StorageFailed with the table and the file.
    """
    for entry in log_entries(path):
        if entry.stat().st_size == 0:
            raise lake_table_damaged(path, f"its log entry {entry.name} is empty")
    table = open_table(path)
    if table is None:
        return
    sizes = file_sizes(path)
    for file, size in data_files(table, path).items():
        if file not in sizes:
            raise lake_table_damaged(path, f"its file {file.name} is not there")
        if sizes[file] != size:
            raise lake_table_damaged(path, f"its file {file.name} has {sizes[file]:,} bytes of {size:,}")
    total = carried(table).get("total_rows")
    if total is not None and int(total) != (found := stored_rows(table)):
        raise lake_table_damaged(path, f"its log names {found:,} rows of {int(total):,}: an entry was cut short")


def require_readable(path: Path) -> None:
    """Require that every file of a table can be read to its end; raises StorageFailed with the table and the file."""
    require_whole(path)
    require_readable_files(open_table(path), path)


def require_readable_files(table: DeltaTable | None, path: Path) -> None:
    """Require that every file of a version of a table can be read to its end; raises StorageFailed."""
    for file in data_files(table, path) if table is not None else ():
        if not is_readable(file):
            raise lake_table_damaged(path, f"its file {file.name} cannot be read")


def is_readable(file: Path) -> bool:
    """Tell whether a Parquet file can be read to its end; one on S3 is fetched again, and its copy replaced."""
    with duckdb.connect() as connection:
        try:
            (local,) = local_files([file], again=True)
            connection.execute(f"select bit_xor(hash(stored)) from read_parquet([{literal(str(local))}]) as stored")
        except duckdb.Error:
            return False
    return True


def data_files(table: DeltaTable, path: Path) -> dict[Path, int]:
    """Return the files of a table with the bytes that its log says."""
    actions = pa.table(table.get_add_actions())
    names, sizes = (actions.column(name).to_pylist() for name in ("path", "size_bytes"))
    return {path / unquote(name): size for name, size in zip(names, sizes, strict=True)}


def known_batches(lake: Path) -> dict[str, int]:
    """Return the batch of each table that its newest load ended with, as the records say."""
    sql = "select table_name, arg_max(batch, started_at) from {table} group by all"
    return dict(query(open_table(lake / "ops" / "loads"), sql))


def require_known_batches(lake: Path, names: Iterable[TableName], released: Mapping[TableName, int]) -> None:
    """Require that no table is older than its newest load that is on record, or than the release that was built of it.

    Raises StorageFailed with the batch that was expected and the one that was found.
    """
    recorded = known_batches(lake)
    for name in names:
        expected, found = max(recorded.get(str(name), 0), released.get(name, 0)), RawTable(lake, name).batch
        if found < expected:
            witness = "its newest load" if recorded.get(str(name), 0) == expected else "the published release"
            raise lake_table_damaged(
                raw_path(lake, name), f"{witness} ended with batch {expected}, and its log ends with batch {found}"
            )


def tables_of(lake: Path, names: Iterable[TableName] = ()) -> list[Path]:
    """Return the paths of the history and quarantine of tables, and of the records of operations."""
    own = [place(lake, name) for name in names for place in (raw_path, quarantine_path)]
    return [*own, *(lake / "ops" / name for name in OPERATIONS), *sorted(lake.glob("ops/snapshots/*"))]


@contextmanager
def damage_named(
    lake: Path, names: Iterable[TableName], of: tuple[type[Exception], ...] = (duckdb.Error, DeltaError, OSError)
) -> Iterator[None]:
    """Look, when something failed with such an error, whether a table of the lake cannot be read: that is its cause."""
    try:
        yield
    except of as error:
        if failure := s3_failure(error):
            raise failure from None
        for path in tables_of(lake, names):
            try:
                require_readable(path)
            except StorageFailed as damage:
                raise damage from None
        raise error
