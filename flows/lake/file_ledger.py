"""The ledger of files: which were read, by which batch and under which config, so that none is read twice."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa

from flows.core.names import literal
from flows.lake.delta import as_table, open_table, query, replace_batch
from flows.lake.raw import BatchMetadata, RawTable
from flows.sources.batches import SourceFile

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
"""Files that were read; `mapping` is the config_hash that they were read under."""


def files_path(lake: Path) -> Path:
    """Return the path of the ledger, which all tables share."""
    return lake / "ops" / "files"


def known_files(raw: RawTable, config_hash: str) -> Mapping[str, int]:
    """Return rows by content hash for the files that committed batches have read under this config."""
    sql = (
        "select sha256, max(rows) from {table} where table_name = $1 and mapping = $2 and _batch <= $3 group by sha256"
    )
    return dict(query(open_table(files_path(raw.lake)), sql, [str(raw.name), config_hash, raw.batch]))


def record_files(
    raw: RawTable, metadata: BatchMetadata, files: Iterable[tuple[SourceFile, int]] = (), config_hash: str = ""
) -> None:
    """Write which files a batch reads, each with its rows, instead of what an earlier try under its number left."""
    rows = [
        (str(raw.name), file.sha256, config_hash, file.name, count, metadata.batch, metadata.load_id)
        for file, count in files
    ]
    predicate = f"table_name = {literal(str(raw.name))} and _batch = {metadata.batch}"
    replace_batch(files_path(raw.lake), as_table(rows, FILES), predicate)
