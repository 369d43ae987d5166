"""The commands that verify and reload tables of the lake: their work, and the text that they print."""

from collections.abc import Sequence

from flows.cli.report import draw_table
from flows.config.settings import DataFolder, command, shown_path
from flows.ingest.reload import Reload
from flows.lake.verify import Verification, find_table, stored_tables, verify_table
from flows.warehouse.release import read_verified, require_readable_release
from flows.warehouse.releases import read_versions, require_release


def verify_lake(folder: DataFolder, release: str | None) -> list[Verification]:
    """Verify every table of the lake, or the versions of them that a release was built of.

    Raises UsageError for a release that is not there, StorageFailed for one that cannot be read.
    """
    if release is None:
        return [verify_table(folder.lake, name) for name in stored_tables(folder.lake)]
    file = require_release(folder, release)
    require_readable_release(file)
    versions, ids = read_versions(file), {name: state.table_id for name, state in read_verified(file).items()}
    return [
        verify_table(folder.lake, name, find_table(folder.lake, name, ids.get(name)), version)
        for name, version in sorted(versions.items())
    ]


def list_verifications(found: Sequence[Verification], seconds: float) -> str:
    """Return one row a table that was verified, then every fault, and the way on."""
    rows = [
        (
            str(one.table),
            *(f"{number:,}" for number in (one.rows, one.loads, one.batches, one.unhashed, len(one.faults))),
        )
        for one in found
    ]
    lines = draw_table(("", "rows", "loads", "batches", "without hash", "faults"), rows, numbers=True)
    lines += ["", *(f"  {one.table}: {fault}" for one in found for fault in one.faults)]
    faulty = [one for one in found if one.faults]
    lines += [f"  back:   {command()} reload {one.table}" for one in faulty]
    if not faulty:
        lines.append(f"  all {len(found)} tables are as they were committed, {seconds:.1f} s")
    return "\n".join(lines)


def summarise_reload(reload: Reload) -> str:
    """Return the numbers of a reload, and the folder in which the old table lies now."""
    lines = [f"  {reload.name}: {reload.kept:,} rows of the table before were kept as they were committed"]
    if reload.load is not None:
        counts = reload.load.total
        lines.append(
            f"  {reload.name}: the source gave {counts.read:,} records: {counts.accepted:,} accepted, "
            f"{counts.quarantined:,} quarantined, {counts.known:,} known, {counts.duplicate:,} duplicate"
        )
        lines += [f"  {note}" for note in reload.load.notes]
    if reload.left_out:
        lines.append(f"  {reload.name}: {reload.left_out:,} rows were in batches that are damaged")
    if reload.missing:
        lines.append(f"  {reload.name}: the source no longer has {reload.missing:,} keys that the table before had")
    lines.append(f"  the table before was set aside, not deleted: {shown_path(reload.aside)}")
    return "\n".join([*lines, "", f"  next:   {command()} elt"])
