"""An overlay: a lake that shows another one, and whose writes are its own."""

import shutil
from collections.abc import Collection
from pathlib import Path

from flows.core.errors import UsageError
from flows.core.names import TableName
from flows.core.object_store import S3Path
from flows.lake.quarantine import quarantine_path
from flows.lake.raw import raw_path

LOG = "_delta_log"


def require_overlay(lake: Path) -> None:
    """Raise UsageError for a lake that can have no overlay."""
    if isinstance(lake, S3Path):
        raise UsageError(
            "The lake is on S3, where nothing can be tried beside it. Nothing was done.",
            "Add --publish: gates still decide whether readers see the result.",
        )


def overlay_lake(lake: Path, place: Path, written: Collection[TableName]) -> None:
    """Make an overlay of a lake, a folder, in a folder that does not exist yet.

    The given tables, their quarantine and the records of loads can be written. The overlay has logs of its own for
    them, and links to their files, so that no row is copied. All other tables are links to those of the lake.
    """
    require_overlay(lake)
    own = {folder(lake, name) for name in written for folder in (raw_path, quarantine_path)}
    for log in (*lake.glob(f"*/*/*/{LOG}"), *lake.glob(f"ops/*/{LOG}")):
        table = log.parent
        shown = place / table.relative_to(lake)
        shown.parent.mkdir(parents=True, exist_ok=True)
        if table in own or lake / "ops" in table.parents:
            _overlay_table(table, shown)
        else:
            shown.symlink_to(table)


def _overlay_table(table: Path, shown: Path) -> None:
    """Show a Delta table by links to its files, which are never changed, with a copy of its log."""
    for path in table.rglob("*"):
        parts = path.relative_to(table)
        if LOG not in parts.parts and path.is_file():
            (shown / parts).parent.mkdir(parents=True, exist_ok=True)
            (shown / parts).symlink_to(path)
    shutil.copytree(table / LOG, shown / LOG)
