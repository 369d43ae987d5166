"""Maintenance: compaction of small files, and vacuum of files that no kept version needs."""

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import DeltaError

from flows.config.publications import publication_path
from flows.core.errors import StorageFailed
from flows.core.names import TableName
from flows.lake.copies import drop_copies, file_sizes
from flows.lake.delta import KEEP_COMMITS, ROWS_VERSION, WRITTEN, carried, open_table, rows_version
from flows.lake.lease import require_lease
from flows.lake.raw import raw_path
from flows.lake.snapshot_backup import snapshot_versions

logger = logging.getLogger(__name__)

MANY = 32
"""This many small or unneeded files are worth a commit: reading one costs 0.1 ms."""

SMALL = 32 * 1024 * 1024
"""A file of fewer bytes is small; compaction makes files of about 100 MB."""

AGE = timedelta(days=1)
"""A build that opened the catalog before may still read files that were needed until then."""

TABLES = ("raw/*/*", "quarantine/*/*", "ops/*", "ops/snapshots/*", "published/*/*")


@dataclass(frozen=True)
class Housekeeping:
    """The numbers of files that were compacted and that were deleted, and the bytes of the deleted ones."""

    compacted: int = 0
    deleted: int = 0
    freed: int = 0

    def __add__(self, other: "Housekeeping") -> "Housekeeping":
        return Housekeeping(self.compacted + other.compacted, self.deleted + other.deleted, self.freed + other.freed)


def compact_and_vacuum_lake(
    lake: Path,
    named: Mapping[TableName, Collection[int]],
    releases: Collection[str] = (),
    published: Mapping[str, Collection[int]] | None = None,
    *,
    age: timedelta = AGE,
    least: int = MANY,
) -> Housekeeping:
    """Compact and vacuum the lake's tables; the `named` versions of raw tables stay readable.

    So do the versions of snapshots that name one of the `releases`, and those of `published` tables, by their names. At
    `least` so many unneeded files are worth a vacuum. A table that cannot be compacted now is logged and left to the
    next run: nothing depends on it.
    """
    kept: dict[Path, Collection[int]] = {raw_path(lake, name): versions for name, versions in named.items()}
    kept |= {publication_path(lake, name): versions for name, versions in (published or {}).items()}
    kept |= {path: snapshot_versions(path, releases).values() for path in lake.glob("ops/snapshots/*")}
    housekeeping = Housekeeping()
    for path in _tables(lake):
        try:
            housekeeping += compact_and_vacuum_table(path, kept.get(path, ()), age=age, least=least)
        except (StorageFailed, DeltaError, OSError) as error:
            logger.warning("%s could not be compacted: %s", path.relative_to(lake), type(error).__name__)
    return housekeeping


def compact_and_vacuum_table(
    path: Path, named: Collection[int] = (), *, age: timedelta = AGE, least: int = MANY
) -> Housekeeping:
    """Compact a table that has many small files, and delete the files that neither it nor a named version needs.

    Rows, batches and the metadata of CARRIED stay as they are.
    """
    table = open_table(path)
    if table is None:
        return Housekeeping()
    require_lease(path)
    compacted = compact_table(table)
    properties = CommitProperties(custom_metadata=_unchanged(table))
    before = file_sizes(path)
    is_worth_it = len(before) - len(table.file_uris()) >= min(least, MANY)
    deleted = _prune(table, properties, named, age) if is_worth_it else 0
    left = file_sizes(path) if deleted else before
    drop_copies(path, left)
    return Housekeeping(compacted, deleted, sum(size for file, size in before.items() if file not in left))


def compact_table(table: DeltaTable) -> int:
    """Merge the small files of a table if it has many; return how many there were, or 0. Nothing is deleted."""
    sizes = pa.table(table.get_add_actions()).column("size_bytes").to_pylist()
    compacted: int = sum(size < SMALL for size in sizes)
    if compacted < MANY:
        return 0
    table.optimize.compact(
        commit_properties=CommitProperties(custom_metadata=_unchanged(table)),
        post_commithook_properties=KEEP_COMMITS,
        writer_properties=WRITTEN,
    )
    table.create_checkpoint()
    return compacted


def _unchanged(table: DeltaTable) -> dict[str, str]:
    """Return the metadata of a commit that changes no row."""
    return {**carried(table), ROWS_VERSION: str(rows_version(table))}


def _prune(table: DeltaTable, properties: CommitProperties, named: Collection[int], age: timedelta) -> int:
    """Delete old files that no kept version has, also those of a killed write; return how many."""
    hours = int(age.total_seconds() // 3600)
    keep = [version for version in named if version <= table.version()]

    def vacuum(*, dry_run: bool) -> int:
        gone = table.vacuum(
            hours,
            dry_run=dry_run,
            enforce_retention_duration=False,
            commit_properties=properties,
            post_commithook_properties=KEEP_COMMITS,
            full=True,
            keep_versions=keep or None,
        )
        return len(gone)

    return vacuum(dry_run=False) if vacuum(dry_run=True) else 0


def _tables(lake: Path) -> Iterator[Path]:
    for pattern in TABLES:
        yield from sorted(path for path in lake.glob(pattern) if (path / "_delta_log").is_dir())
