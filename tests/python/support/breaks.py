"""Broken guarantees, in a child process only: tests for lost rows and mixed releases must find these."""

import shutil
import time
from pathlib import Path
from typing import Any

import deltalake
from deltalake.table import TableOptimizer
from support.kills import replace_everywhere

import flows.orchestration.run_lock as locks
from flows.config.settings import DataFolder
from flows.core.object_store import S3Path
from flows.lake import delta, maintenance, raw
from flows.warehouse import release
from flows.warehouse.journal import Journal
from flows.warehouse.releases import RELEASES_KEPT, kept_releases


def commit_watermark_first() -> None:
    """Commit a batch's number and the source's watermark before its rows (fault 2)."""
    write = raw.write_rows

    def write_watermark_first(table: Any, path: Any, rows: Any, **options: Any) -> None:
        gathered = rows.read_all()
        write(table, path, gathered.schema.empty_table(), **options)
        write(delta.open_table(path), path, gathered, mode="append", schema_mode="merge")

    raw.write_rows = write_watermark_first


def add_to_quarantine() -> None:
    """Keep the quarantined records of a dead batch, and write them again (fault 5)."""

    def append(path: Any, rows: Any, _predicate: str) -> None:
        if rows.num_rows:
            delta.write_deltalake(delta.open_table(path) or str(path), rows, mode="append")

    replace_everywhere(delta, "replace_batch", append)


def publish_in_place() -> None:
    """Overwrite the file that readers have, instead of switching a link to the new release (fault 4)."""
    flip = release._flip

    def copy_over(folder: DataFolder, place: Any) -> None:
        if not folder.warehouse.exists():
            return flip(folder, place)
        with (place / folder.warehouse.name).open("rb") as new, folder.warehouse.open("r+b") as seen:
            shutil.copyfileobj(new, seen, 64 * 1024)
            seen.truncate()

    release._flip = copy_over


def compact_in_two_commits() -> None:
    """Delete the rows of a table's small files, and write them again by a second commit."""

    def compact(optimizer: Any, *, commit_properties: Any, **_options: Any) -> None:
        table, options = optimizer.table, {"commit_properties": commit_properties}
        rows = table.to_pyarrow_table()
        deltalake.write_deltalake(table, rows.schema.empty_table(), mode="overwrite", **options)
        time.sleep(0.2)  # a kill within a step of milliseconds must meet the moment between
        deltalake.write_deltalake(table, rows, mode="append", **options)

    TableOptimizer.compact = compact  # type: ignore[method-assign, assignment]


def vacuum_named_versions() -> None:
    """Delete files of the lake that only an earlier version needs, which a release or a training set names."""
    prune = maintenance._prune
    maintenance._prune = lambda table, properties, _named, age: prune(table, properties, (), age)


def prune_what_readers_see() -> None:
    """Delete all but the newest releases, also the one that readers were sent back to."""

    def prune(folder: DataFolder, keep: int = RELEASES_KEPT, left: str | None = None) -> dict[str, int]:
        gone = kept_releases(folder)[:-keep]
        for name in gone:
            shutil.rmtree(folder.releases / name)
        return dict.fromkeys(gone, 0)

    replace_everywhere(release, "prune_releases", prune)


def leave_the_lock() -> None:
    """Leave the lock of a dead run on S3 to those who watch it, also on the machine that knows it to be dead."""
    original = locks.lease
    locks.lease = lambda path, owner, token, _died: original(path, owner, token)  # type: ignore[assignment]


def copy_in_two_pieces() -> None:
    """Write a copy of a release under its name before it is complete."""

    def upload(path: S3Path, file: Path) -> None:
        content = file.read_bytes()
        path.unlink(missing_ok=True)
        path.put(content[: len(content) // 2])
        time.sleep(0.05)
        path.unlink()
        path.put(content)

    S3Path.upload = upload  # type: ignore[method-assign]


def note_nodes_early() -> None:
    """Note a node in the journal of a build when it starts, in place of when it has ended."""

    def see(journal: Journal, event: Any) -> None:
        if journal.has_begun and event.info.name == "NodeStart":
            node = event.data.node_info
            journal._add([node.unique_id, "pass" if node.resource_type == "test" else "success"])

    Journal.see = see  # type: ignore[method-assign]


BREAKS = {
    "watermark-first": commit_watermark_first,
    "quarantine-added": add_to_quarantine,
    "publish-in-place": publish_in_place,
    "compact-in-two": compact_in_two_commits,
    "vacuum-named": vacuum_named_versions,
    "prune-readers": prune_what_readers_see,
    "lock-left": leave_the_lock,
    "copy-in-two": copy_in_two_pieces,
    "journal-early": note_nodes_early,
}
