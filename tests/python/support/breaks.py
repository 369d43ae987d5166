"""Broken guarantees, in a child process only: tests for lost rows and mixed releases must find these."""

import shutil
from typing import Any

from support.kills import replace_everywhere

from flows.config.settings import DataFolder
from flows.lake import delta, raw
from flows.warehouse import release


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


BREAKS = {
    "watermark-first": commit_watermark_first,
    "quarantine-added": add_to_quarantine,
    "publish-in-place": publish_in_place,
}
