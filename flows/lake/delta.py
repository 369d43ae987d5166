"""Delta tables: opened, read by SQL, and written by one load or by several at a time."""

import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, PostCommitHookProperties, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.table import SUPPORTED_WRITER_FEATURES, ProtocolVersions

from flows.core.errors import StorageFailed, UsageError
from flows.core.names import literal
from flows.core.object_store import S3Failed, S3Path, retry_options
from flows.core.storage import OF_THE_SYSTEM, TRY_AGAIN, lake_table_damaged, of_delta, s3_failure, storage_failure
from flows.lake.copies import contents, local_files, place_of
from flows.lake.lease import require_lease

KEEP_LOG = {"delta.logRetentionDuration": "interval 36500 days"}
"""The log holds watermarks and counts of every batch; no clean-up may cut it."""

FREQUENT_CHECKPOINTS = {"delta.checkpointInterval": "10"}
"""On S3 each entry after the checkpoint is a request of its own, whenever the table is opened."""

KEEP_COMMITS = PostCommitHookProperties(cleanup_expired_logs=False)

WRITTEN = WriterProperties(compression="ZSTD", compression_level=1, max_row_group_size=131_072)
"""Half the bytes of the default in the same time, and row groups so small that a look-up reads few rows."""

UNUSABLE = "[]%\\"
"""Characters that the Delta library cannot have in a path."""

TRIES = 8
"""How often a write to a table that several loads share is tried before its conflict is an error."""

HISTORY = 100
"""How many commits back the metadata of a batch are looked for; every commit of ours carries them, maintenance too."""

ENTRY = re.compile(r"\d{20}\.json")
"""The name of a commit's entry in a log."""

CARRIED = ("watermark", "config_hash", "cursor", "contract_version", "total_rows")
"""The metadata of the source and its contract, and the number of rows; every commit of a raw table repeats them."""

ROWS_VERSION = "rows_version"
"""The metadata of a commit that changes no row: the version that last changed rows."""

EARLIER_NAMES = {"position": "watermark", "definition": "config_hash"}
"""Their names in commits of version 0.1.0, so that its lakes can still be read."""


def open_table(path: Path | str, version: int | None = None) -> DeltaTable | None:
    """Return a Delta table, at a version or the newest; None if it does not exist.

    Raises UsageError for a path that the Delta library cannot have. Raises StorageFailed for a table that cannot be
    read or was written by a newer engine.
    """
    if any(sign in str(path) for sign in UNUSABLE):
        raise UsageError(
            f"A lake cannot be at {path}: the path has one of {' '.join(UNUSABLE)} in it.",
            "Name another folder for it: ML_WAREHOUSE_DATA, or ML_WAREHOUSE_LAKE.",
        )
    try:
        table = DeltaTable(str(path), version=version, storage_options=_storage_options(path))
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as error:
        if failure := s3_failure(error, str(path)):
            raise failure from None
        if OF_THE_SYSTEM in str(error) and "Not a directory" not in str(error):
            raise storage_failure(error, str(path)) or StorageFailed(str(path), of_delta(error), TRY_AGAIN) from None
        place = path if isinstance(path, Path) else Path(path)
        raise lake_table_damaged(place, _damaged_entry(place) or of_delta(error)) from None
    _require_known_features(table.protocol(), path)
    return table


def log_entries(path: Path) -> list[Path]:
    """Return the entries that a log's newest version is read from: the newest checkpoint, if any, and later ones."""
    log = path / "_delta_log"
    entries = {entry.name: entry for entry in log.iterdir()} if log.is_dir() else {}
    checkpoints = sorted(name for name in entries if name.endswith(".checkpoint.parquet"))
    newest = checkpoints[-1] if checkpoints else ""
    commits = sorted(name for name in entries if ENTRY.fullmatch(name) and name[:20] > newest[:20])
    return [entries[name] for name in [*checkpoints[-1:], *commits]]


def _damaged_entry(path: Path) -> str | None:
    """Say which entry of a log cannot be read, or is not there; None if none is found."""
    before = -1
    for entry in log_entries(path):
        number = int(entry.name[:20])
        try:
            if entry.suffix == ".parquet":
                pq.read_table(pa.BufferReader(entry.read_bytes()))
            elif not [json.loads(line) for line in entry.read_bytes().splitlines()]:
                return f"its log entry {entry.name} is empty"
            elif number != before + 1:
                return f"its log entry {before + 1:020}.json is not there"
        except (ValueError, OSError, pa.ArrowException):
            return f"its log entry {entry.name} cannot be read"
        before = number
    return None


def _require_known_features(protocol: ProtocolVersions, path: Path | str) -> None:
    """Refuse a table with features of a newer engine, such as deletion vectors or renamed columns."""
    unknown = {*(protocol.writer_features or ())} - SUPPORTED_WRITER_FEATURES
    if unknown:
        raise StorageFailed(
            str(path),
            f"an engine wrote it that has features unknown here: {', '.join(sorted(unknown))}",
            "Read and write it with that engine's version, or copy its rows to a table without them.",
        )


def relation_of(table: DeltaTable | None) -> str | None:
    """Return SQL that reads a table's files, or None if it has no files."""
    files = readable_files(table.file_uris()) if table is not None else ""
    return f"read_parquet([{files}], union_by_name = true)" if files else None


def readable_files(uris: Iterable[str]) -> str:
    """Return an SQL list of files by the Delta library's URIs; raises StorageFailed for one that S3 does not give."""
    places = [place_of(uri) for uri in uris]
    try:
        return ", ".join(literal(str(file)) for file in local_files(places))
    except FileNotFoundError as error:
        missing = place_of(str(error.filename))
        raise lake_table_damaged(missing.parent, f"its file {missing.name} is not there") from None
    except S3Failed as error:
        raise s3_failure(error) or error from None


def query(table: DeltaTable | None, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """Run a query that reads a Delta table as `{table}`; return its rows, none if the table has no files."""
    relation = relation_of(table)
    if relation is None:
        return []
    with _engine(os.getpid()).cursor() as connection:
        return connection.execute(sql.replace("{table}", relation), list(parameters)).fetchall()


@cache
def _engine(process: int) -> duckdb.DuckDBPyConnection:
    """Return a process's DuckDB for small queries: to make one takes longer than such a query.

    It keeps nothing of the files that it reads, since a damaged file must be seen. A forked process needs its own.
    """
    return duckdb.connect(config={"enable_external_file_cache": "false"})


def carried(table: DeltaTable) -> Mapping[str, str]:
    """Return the newest metadata named in CARRIED; empty if no commit has them."""
    for limit in (1, HISTORY):  # the newest nearly always has them, and reading many costs milliseconds
        for commit in table.history(limit):
            metadata = {EARLIER_NAMES.get(key, key): text for key, text in commit.items()}
            if "watermark" in metadata:
                return {key: metadata[key] for key in CARRIED if key in metadata}
    return {}


def rows_version(table: DeltaTable) -> int:
    """Return the version that last changed rows, not only files."""
    found = table.history(1)[0].get(ROWS_VERSION)
    return int(found) if found is not None else table.version()


def commits(table: DeltaTable, limit: int | None = None) -> Iterator[Mapping[str, Any]]:
    """Yield what the commits of a table say of themselves, the newest first; one that cannot be read is left out."""
    log = place_of(table.table_uri) / "_delta_log"
    versions = range(table.version(), -1 if limit is None else max(-1, table.version() - limit), -1)
    for content in contents(log / f"{version:020}.json" for version in versions):
        try:
            lines = content.splitlines()
            yield from (json.loads(line)["commitInfo"] for line in lines if line.startswith(b'{"commitInfo"'))
        except ValueError:
            continue


def write_rows(table: DeltaTable | None, path: Path, rows: Any, **options: Any) -> None:
    """Commit rows to a table, or to a new one. On S3 the entry of a commit is written only if no other has its number.

    Raises StorageFailed if this run has lost the lock of a lake on S3.
    """
    require_lease(path)
    if table is None:
        kept = KEEP_LOG | FREQUENT_CHECKPOINTS if isinstance(path, S3Path) else KEEP_LOG
        options |= {"configuration": kept, "storage_options": _storage_options(path)}
    write_deltalake(str(path) if table is None else table, rows, **options)


def _storage_options(path: Path | str) -> dict[str, str] | None:
    return retry_options() if isinstance(path, S3Path) else None


def append_row(path: Path, row: Mapping[str, Any], schema: pa.Schema) -> None:
    """Append one row to a table that several loads write to."""
    append_rows(path, [row], schema)


def append_rows(path: Path, rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> None:
    """Append rows to a table that several loads write to, in one commit."""
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)

    def write() -> None:
        write_rows(open_table(path), path, table, mode="append", schema_mode="merge")

    write_with_retries(write)


def replace_batch(path: Path, rows: pa.Table, predicate: str) -> None:
    """Write the rows of a batch, instead of those that an earlier try under the same number left."""

    def write() -> None:
        table = open_table(path)
        if query(table, f"select 1 from {{table}} where {predicate} limit 1"):
            write_rows(table, path, rows, mode="overwrite", schema_mode="merge", predicate=predicate)
        elif rows.num_rows:
            write_rows(table, path, rows, mode="append", schema_mode="merge")

    write_with_retries(write)


def write_with_retries(write: Callable[[], None]) -> None:
    """Write to a table that other loads write to as well: of two commits at the same time, one must try again."""
    for tries_left in reversed(range(TRIES)):
        try:
            return write()
        except CommitFailedError:
            if not tries_left:
                raise
            time.sleep(0.05 * (TRIES - tries_left))


def as_table(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    """Return rows as an Arrow table, also if there are no rows."""
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
