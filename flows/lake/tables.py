"""Delta tables of the lake: raw history, quarantine and the ledger of files.

The Delta log is the load ledger: a batch is one commit with an application transaction (app id = table, version = batch
number) and the source's watermark in its metadata. Quarantine and files are written before it under the same number and
count only up to the number that was committed; so a batch that died half-way is done again, not lost and not doubled.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import duckdb
import pyarrow as pa
from deltalake import (
    CommitProperties,
    DeltaTable,
    PostCommitHookProperties,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.table import SUPPORTED_WRITER_FEATURES, ProtocolVersions

from flows.config.contract import Contract
from flows.core.errors import StorageFailed, UsageError
from flows.core.names import TableName, identifier, literal
from flows.core.storage import storage_failure
from flows.lake.casts import is_nested

KEEP_LOG = {"delta.logRetentionDuration": "interval 36500 days"}
"""The log holds watermarks and counts of every batch; no clean-up may cut it."""

WRITTEN = WriterProperties(compression="ZSTD", compression_level=1, max_row_group_size=131_072)
"""Half the bytes of the default in the same time, and row groups so small that a look-up reads few rows."""

ROWS_A_PIECE = 20_000
"""How many rows are handed to the Delta writer at a time."""

UNUSABLE = "[]%\\"
"""Characters that the Delta library cannot have in a path."""

TRIES = 8
"""How often a write to a table that several loads share is tried, should they get in each other's way."""

HISTORY = 100
"""How many commits back a batch's metadata are looked for; every commit of ours carries them, maintenance too."""

CARRIED = ("watermark", "config_hash", "contract_version")
"""What a commit's metadata say of the source and its contract, and every later commit of the table repeats."""

EARLIER_NAMES = {"position": "watermark", "definition": "config_hash"}
"""What commits of version 0.1.0 call them: a lake that it wrote is read on."""

KEEP_COMMITS = PostCommitHookProperties(cleanup_expired_logs=False)

QUARANTINE = pa.schema(
    [
        ("_raw", pa.binary()),
        ("_hash", pa.string()),
        ("_reasons", pa.list_(pa.string())),
        ("_position", pa.string()),
        ("_row", pa.int64()),
        ("_batch", pa.int64()),
        ("_load_id", pa.string()),
        ("_loaded_at", pa.timestamp("us")),
        ("_schema", pa.string()),
    ]
)
"""Rejected records. `_load_id` is the load or replay that rechecked them last; `_schema` is the form that they came in
(`quarantine.RecordSchema`), null for what could not be read as a record."""

FILES = pa.schema(
    [
        ("table_name", pa.string()),
        ("sha256", pa.string()),
        ("mapping", pa.string()),
        ("file_name", pa.string()),
        ("rows", pa.int64()),
        ("_batch", pa.int64()),
        ("_load_id", pa.string()),
    ]
)


@dataclass(frozen=True)
class Counts:
    """What became of the records of a batch or load: read = accepted + quarantined + duplicate.

    `conflicts` are keys that came again with another payload; they are among the accepted or the duplicate.
    `deleted` are tombstones, which were not read.
    """

    read: int = 0
    accepted: int = 0
    quarantined: int = 0
    duplicate: int = 0
    conflicts: int = 0
    deleted: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(mine + theirs for mine, theirs in zip(self.values(), other.values(), strict=True)))

    def values(self) -> tuple[int, ...]:
        """Return the counts in the order of the fields."""
        return astuple(self)

    @property
    def is_reconciled(self) -> bool:
        """Tell whether every record that was read is accounted for."""
        return self.read == self.accepted + self.quarantined + self.duplicate


@dataclass(frozen=True)
class BatchMetadata:
    """What every row of a batch carries."""

    batch: int
    load_id: str
    loaded_at: datetime
    is_backfill: bool


def raw_path(lake: Path, name: TableName) -> Path:
    """Return where a table's history is."""
    return lake / "raw" / name.source / name.table


def open_table(path: Path | str, version: int | None = None) -> DeltaTable | None:
    """Return a Delta table, at a version or the newest, or None where there is none.

    Raises UsageError for a path that the Delta library cannot have, StorageFailed for a table that cannot be read, or
    that a newer engine has written.
    """
    if any(sign in str(path) for sign in UNUSABLE):
        raise UsageError(
            f"A lake cannot be at {path}: the path has one of {' '.join(UNUSABLE)} in it.",
            "Name another folder for it: ML_WAREHOUSE_DATA, or ML_WAREHOUSE_LAKE.",
        )
    try:
        table = DeltaTable(str(path), version=version)
    except TableNotFoundError:
        return None
    except DeltaError as error:
        raise storage_failure(error, str(path)) or error from None
    _require_known(table.protocol(), path)
    return table


def _require_known(protocol: ProtocolVersions, path: Path | str) -> None:
    """Refuse what an engine has written that does more than this one, such as deletion vectors or renamed columns."""
    unknown = {*(protocol.writer_features or ())} - SUPPORTED_WRITER_FEATURES
    if unknown:
        raise StorageFailed(
            str(path),
            f"an engine wrote it that has features unknown here: {', '.join(sorted(unknown))}",
            "Read and write it with that engine's version, or copy its rows to a table without them.",
        )


def relation_of(table: DeltaTable | None) -> str | None:
    """Return SQL that reads a table's files, or None if it holds none."""
    files = files_of(table) if table is not None else []
    if not files:
        return None
    return f"read_parquet([{', '.join(map(literal, files))}], union_by_name = true)"


def files_of(table: DeltaTable) -> list[str]:
    """Return the paths of a table's files; delta-rs gives them with spaces and the like written as in URLs."""
    return [unquote(uri) for uri in table.file_uris()]


def carried(table: DeltaTable) -> Mapping[str, str]:
    """Return the metadata that every commit of a table carries on; empty if none has any."""
    for limit in (1, HISTORY):  # the newest nearly always has them, and reading many costs milliseconds
        for commit in table.history(limit):
            metadata = {EARLIER_NAMES.get(key, key): text for key, text in commit.items()}
            if "watermark" in metadata:
                return {key: metadata[key] for key in CARRIED if key in metadata}
    return {}


@dataclass
class LakeTable:
    """One source table in the lake, as one load sees it: opened once, never reloaded between numbering and commit."""

    lake: Path
    name: TableName
    _raw: DeltaTable | None = field(init=False)

    def __post_init__(self) -> None:
        self._raw = open_table(self.raw_path)

    @property
    def raw_path(self) -> Path:
        """Where the history is."""
        return raw_path(self.lake, self.name)

    @property
    def quarantine_path(self) -> Path:
        """Where rejected records are."""
        return self.lake / "quarantine" / self.name.source / self.name.table

    @property
    def files_path(self) -> Path:
        """Where the ledger of files is; all tables share it."""
        return self.lake / "ops" / "files"

    @property
    def version(self) -> int | None:
        """The Delta version that stands, None if the table was never loaded."""
        return self._raw.version() if self._raw is not None else None

    @property
    def batch(self) -> int:
        """The number of the last committed batch; 0 if there is none."""
        return (self._raw.transaction_version(str(self.name)) or 0) if self._raw is not None else 0

    def watermark(self, config_hash: str) -> str | None:
        """Return where the source stood behind the last committed batch, from the newest commit that says so.

        A watermark that was reached under another config says nothing: then it is None.
        """
        last = self.last_commit()
        return json.loads(last["watermark"]) if last.get("config_hash") == config_hash else None

    def last_commit(self) -> Mapping[str, str]:
        """Return what the last batch's commit says beside its rows, under the names of CARRIED; empty without one."""
        return carried(self._raw) if self._raw is not None else {}

    def stored(self, columns: Sequence[str], types: Mapping[str, str] | None = None) -> str | None:
        """Return SQL for the rows that stand, with these columns and the lake's own; None if there are none.

        Columns are of the types given, DuckDB's, or else as they are stored.
        """
        relation = relation_of(self._raw)
        if relation is None or self._raw is None:
            return None
        present = {name.casefold() for name in self.types()}
        wanted = types or {}
        listed = ", ".join(
            f"{_cast(identifier(name), wanted.get(name)) if name.casefold() in present else 'null'} "
            f"as {identifier(name)}"
            for name in columns
        )
        return f"(select {listed}, _batch, _row, _deleted, _is_backfill from {relation})"

    def types(self) -> Mapping[str, pa.DataType]:
        """Return the Arrow types of the columns that stand, in their order."""
        if self._raw is None:
            return {}
        return {field.name: field.type for field in pa.schema(self._raw.schema().to_arrow())}

    def kinds(self, connection: duckdb.DuckDBPyConnection) -> Mapping[str, tuple[str, str]]:
        """Return the spelling and DuckDB type of the columns that stand, by their names in lower case."""
        if self._raw is None:
            return {}
        connection.register("no_rows", pa.schema(self._raw.schema().to_arrow()).empty_table())
        described = connection.execute("describe no_rows").fetchall()
        connection.unregister("no_rows")
        return {name.casefold(): (name, kind) for name, kind, *_ in described}

    def rewrite(self, connection: duckdb.DuckDBPyConnection, columns: Mapping[str, str]) -> None:
        """Write all rows anew, with some columns (by their spelling) as SQL says; batches, rows and watermark stay.

        Versions before it are read as they were: it is a commit like any other.
        """
        assert self._raw is not None, "what was never written has no columns"
        relation = relation_of(self._raw)
        if relation is None:
            connection.register("no_rows", pa.schema(self._raw.schema().to_arrow()).empty_table())
        listed = ", ".join(f"{columns.get(name, identifier(name))} as {identifier(name)}" for name in self.types())
        rows = connection.sql(f"select {listed} from {relation or 'no_rows'}").to_arrow_reader(ROWS_A_PIECE)
        write_deltalake(
            self._raw,
            rows,
            mode="overwrite",
            schema_mode="overwrite",
            commit_properties=CommitProperties(custom_metadata=dict(self.last_commit())),
            post_commithook_properties=KEEP_COMMITS,
            writer_properties=WRITTEN,
        )

    def append(
        self,
        connection: duckdb.DuckDBPyConnection,
        contract: Contract,
        extras: Sequence[str],
        stamp: BatchMetadata,
        counts: Counts,
        watermark: str | None,
        config_hash: str,
        contract_version: int,
    ) -> None:
        """Commit the relation `new_rows` as one batch; its metadata hold watermark, counts and contract version."""
        rows = connection.sql(
            self._new_rows_sql(connection, contract, extras),
            params=[stamp.loaded_at, stamp.load_id, stamp.batch, stamp.is_backfill],
        ).to_arrow_reader(ROWS_A_PIECE)
        metadata = {
            "watermark": json.dumps(watermark),
            "config_hash": config_hash,
            "contract_version": str(contract_version),
            "load_id": stamp.load_id,
            "counts": json.dumps(counts.values()),
        }
        properties = CommitProperties(
            custom_metadata=metadata, app_transactions=[Transaction(str(self.name), stamp.batch)]
        )
        write_deltalake(
            self._raw if self._raw is not None else str(self.raw_path),
            rows,
            mode="append",
            schema_mode="merge",
            configuration=KEEP_LOG if self._raw is None else None,
            commit_properties=properties,
            post_commithook_properties=KEEP_COMMITS,
            writer_properties=WRITTEN,
        )
        if self._raw is None:
            self._raw = open_table(self.raw_path)

    def _new_rows_sql(self, connection: duckdb.DuckDBPyConnection, contract: Contract, extras: Sequence[str]) -> str:
        """Write what is to be stored, under the spelling and type that a column has if it is there already."""
        kinds = {name: kind for name, kind, *_ in connection.execute("describe new_rows").fetchall()}
        stored = self.kinds(connection)
        listed = []
        for name, wanted in contract.types.items():
            spelling, kind = stored.get(name.casefold(), (name, kept_as(connection, wanted)))
            listed.append(f"{_cast(f'cast({identifier(name)} as {wanted})', kind)} as {identifier(spelling)}")
        for name in extras:
            spelling, kind = stored.get(name.casefold(), (name, storable(kinds[name])))
            listed.append(f"{_cast(plain(name, kinds[name]), kind)} as {identifier(spelling)}")
        return f"""
            select {", ".join(listed)},
                cast($1 as timestamp) as _loaded_at, cast($2 as varchar) as _load_id, cast($3 as bigint) as _batch,
                cast(coalesce(_row, 0) as bigint) as _row, cast(_position as varchar) as _position,
                _deleted, cast($4 as boolean) as _is_backfill
            from new_rows
        """

    # Quarantine

    def quarantined(self) -> str | None:
        """Return SQL for the rejected records of committed batches, or None if there are none."""
        relation = relation_of(open_table(self.quarantine_path))
        if relation is None:
            return None
        kept = f"select * from {relation} where _batch <= {self.batch}"
        return f"({kept} union all by name select null::varchar as _schema where false)"

    def resolve(self, connection: duckdb.DuckDBPyConnection, rechecked: str, load_id: str) -> None:
        """Let records leave the quarantine, or stay for other reasons, in one commit.

        `rechecked` is a relation of `_hash` and `_reasons`, which are null for what leaves. Records that it does not
        name, and those of a batch that was never committed, stay as they are.
        """

        def write() -> None:
            table = open_table(self.quarantine_path)
            relation = relation_of(table)
            if table is None or relation is None:
                return
            rows = connection.sql(
                f"select quarantined.* replace (coalesce(rechecked._reasons, quarantined._reasons) as _reasons, "
                f"case when rechecked._hash is null then quarantined._load_id else {literal(load_id)} end as _load_id) "
                f"from {relation} as quarantined "
                f"left join {rechecked} as rechecked "
                f"on quarantined._hash = rechecked._hash and quarantined._batch <= {self.batch} "
                "where rechecked._hash is null or rechecked._reasons is not null"
            ).to_arrow_reader(10_000)
            write_deltalake(table, rows, mode="overwrite")

        _write_beside_others(write)

    def quarantine(self, records: pa.Table, batch: int) -> None:
        """Write a batch's rejected records in place of those that an earlier try under the same number left."""
        _replace_batch(self.quarantine_path, records.cast(QUARANTINE), f"_batch = {batch}")

    # Files

    def known_files(self, connection: duckdb.DuckDBPyConnection, mapping: str) -> Mapping[str, int]:
        """Return rows by content hash for the files that committed batches have read under this mapping."""
        relation = relation_of(open_table(self.files_path))
        if relation is None:
            return {}
        return dict(
            connection.execute(
                f"select sha256, max(rows) from {relation} where table_name = $1 and mapping = $2 and _batch <= $3 "
                "group by sha256",
                [str(self.name), mapping, self.batch],
            ).fetchall()
        )

    def record_files(self, files: pa.Table, batch: int) -> None:
        """Write which files a batch reads, if any, in place of what an earlier try under the same number left."""
        predicate = f"table_name = {literal(str(self.name))} and _batch = {batch}"
        _replace_batch(self.files_path, files.cast(FILES), predicate)


def _replace_batch(path: Path, rows: pa.Table, predicate: str) -> None:
    def write() -> None:
        table = open_table(path)
        relation = relation_of(table)
        is_second_try = False
        if relation is not None:
            with duckdb.connect() as connection:
                sql = f"select count(*) from {relation} where {predicate}"
                is_second_try = connection.execute(sql).fetchall()[0][0] > 0
        if is_second_try:
            write_deltalake(table or str(path), rows, mode="overwrite", schema_mode="merge", predicate=predicate)
        elif rows.num_rows:
            new = None if table else KEEP_LOG
            write_deltalake(table or str(path), rows, mode="append", schema_mode="merge", configuration=new)

    _write_beside_others(write)


def _write_beside_others(write: Callable[[], None]) -> None:
    """Write to a table that other loads write to as well: of two that make it at the same time, one must try again."""
    for tries_left in reversed(range(TRIES)):
        try:
            return write()
        except CommitFailedError:
            if not tries_left:
                raise
            time.sleep(0.05 * (TRIES - tries_left))


def storable(kind: str) -> str:
    """Return the type in which an extra column of a DuckDB type is kept."""
    simple = ("VARCHAR", "BIGINT", "INTEGER", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP", "SMALLINT", "FLOAT", "BLOB")
    return kind if kind in simple or kind.startswith("DECIMAL") else "VARCHAR"


def kept_as(connection: duckdb.DuckDBPyConnection, wanted: str) -> str:
    """Return the type, in DuckDB's spelling, in which a contract's column is kept."""
    kind: str = connection.execute(f"describe select cast(null as {wanted}) as value").fetchall()[0][1]
    return "VARCHAR" if kind in ("JSON", "UUID") else kind


def plain(name: str, kind: str) -> str:
    """Return SQL for a column, as JSON if it is nested."""
    return f"cast(to_json({identifier(name)}) as varchar)" if is_nested(kind) else identifier(name)


def _cast(expression: str, kind: str | None) -> str:
    return f"cast({expression} as {kind})" if kind else expression


def write_operations(path: Path, row: dict[str, Any], schema: pa.Schema) -> None:
    """Append one row to an operations table, which several loads may do at once."""
    rows = pa.Table.from_pylist([row], schema=schema)

    def write() -> None:
        table = open_table(path)
        write_deltalake(table or str(path), rows, mode="append", configuration=None if table else KEEP_LOG)

    _write_beside_others(write)
