"""The commands of releases: list them, and send readers to another one."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.arguments import DEFAULT_CONNECTIONS, ConnectionSet, ConnectionsFile, published_folder, say
from flows.cli.report import draw_table
from flows.config.settings import DataFolder, command
from flows.core.errors import GateFailed, StorageFailed, UsageError

if TYPE_CHECKING:
    from flows.reproduce import Rebuilt
    from flows.warehouse.releases import KeptRelease, MadeOf

LONGEST_COMMIT = 12
"""Characters of a commit's name that are shown."""

Release = Annotated[str | None, typer.Argument(help="Name of a release, such as 2026-03-02.1.", metavar="RELEASE")]


def releases(
    release: Release = None,
    connection_set: ConnectionSet = None,
    connections: ConnectionsFile = DEFAULT_CONNECTIONS,
    to: Annotated[
        str | None, typer.Option("--to", help="Copy the release below this place on S3.", metavar="s3://BUCKET/PATH")
    ] = None,
) -> None:
    """List the releases: when and of what each was made, its size, and for whom it is kept; or describe one.

    With --to, copy one, by default the published one.
    """
    folder = published_folder(connection_set, connections)
    if to is not None:
        say(copy_to(folder, release, to))
    else:
        say(list_releases(folder) if release is None else describe_release(folder, release))


def rollback(
    release: Annotated[str | None, typer.Argument(help="Release; default: the one before.", metavar="RELEASE")] = None,
    connection_set: ConnectionSet = None,
    connections: ConnectionsFile = DEFAULT_CONNECTIONS,
) -> None:
    """Send readers to another release, by default to the one before; the next run builds on that one."""
    from flows.orchestration.run_lock import run_lock

    folder = published_folder(connection_set, connections)
    with run_lock(folder):
        say(roll_back_to(folder, release))


def prune(
    keep: Annotated[
        int | None, typer.Option("--keep", help="Newest releases to keep; default: as many as a run keeps.", min=1)
    ] = None,
    connection_set: ConnectionSet = None,
    connections: ConnectionsFile = DEFAULT_CONNECTIONS,
) -> None:
    """Delete old releases, and files of the lake that no release, training set, clone or run needs."""
    from flows.orchestration.run_lock import run_lock

    folder = published_folder(connection_set, connections)
    with run_lock(folder):
        say(prune_folder(folder, keep))


def rebuild(
    release: Annotated[str, typer.Argument(help="Release, whether or not its file is kept.")],
    connection_set: ConnectionSet = None,
    connections: ConnectionsFile = DEFAULT_CONNECTIONS,
) -> None:
    """Build a release again from the lake's versions and the code that it names, and compare all rows."""
    folder = published_folder(connection_set, connections)
    from flows.orchestration.run_lock import run_lock
    from flows.reproduce import rebuild_release

    logging.getLogger("flows").propagate = False  # dbt gives the root logger a handler of its own
    with run_lock(folder):
        rebuilt = rebuild_release(folder, release)
    say(summarise_rebuild(rebuilt))
    if rebuilt.unlike:
        raise typer.Exit(GateFailed.exit_code)


def summarise_rebuild(rebuilt: "Rebuilt") -> str:
    """Return what a rebuild has found."""
    from flows.reproduce import clone_of_rebuilt

    lines = [f"  other rows: {name}" for name in rebuilt.unlike]
    if rebuilt.volatile:
        lines.append(f"  not compared, since they depend on more than code and data: {', '.join(rebuilt.volatile)}")
    alike = rebuilt.models - len(rebuilt.unlike)
    lines.append(f"  {alike:,} of {rebuilt.models:,} models have the rows of {rebuilt.name}, {rebuilt.seconds:.0f} s")
    if rebuilt.unlike:
        lines.append(f"  compare:  {command()} diff {rebuilt.name} {clone_of_rebuilt(rebuilt.name)}")
    if rebuilt.was_put_back:
        lines.append(f"  its file was gone, and is there again; readers stay where they are. See: {command()} releases")
    return "\n".join(lines)


def prune_folder(folder: DataFolder, keep: int | None) -> str:
    """Delete what nothing needs, and return what that has freed, and for whom the rest is kept.

    Files of the lake that were written or replaced within a day stay: a reader of another engine may have them open.
    """
    from flows.learning.housekeeping import clean_up
    from flows.warehouse.releases import RELEASES_KEPT, kept_releases

    keep = RELEASES_KEPT if keep is None else keep
    gone, cleaned = clean_up(folder, keep)
    uses = uses_of_releases(folder, keep)
    lines = [f"  deleted release {name}: {size / 1e6:,.1f} MB" for name, size in gone.items()]
    lines += [f"  kept release {name}, for {', '.join(uses.get(name, []))}" for name in kept_releases(folder)]
    lines += [f"  lake: {cleaned.deleted:,} files deleted, {cleaned.freed / 1e6:,.1f} MB", ""]
    return "\n".join([*lines, f"  freed {(sum(gone.values()) + cleaned.freed) / 1e6:,.1f} MB"])


def roll_back_to(folder: DataFolder, release: str | None) -> str:
    """Send readers to a release, or to the one before; the lake's copies of snapshots follow. Return what was done.

    Raises UsageError for a release that is not kept, and if no earlier one is.
    """
    from flows.lake.ops import record_rollback
    from flows.lake.snapshot_backup import keep_snapshots, kept_snapshots
    from flows.warehouse.release import roll_back
    from flows.warehouse.releases import newest_release, previous_release, require_release

    left = newest_release(folder)
    wanted = release or previous_release(folder, left)
    if wanted is None:
        raise UsageError(f"No release is kept that is earlier than {left}.", f"See: {command()} releases")
    file = require_release(folder, wanted)
    if wanted != left:
        record_rollback(folder.lake, wanted, left)
        roll_back(folder, wanted)
    keep_snapshots(folder.lake, file, kept_snapshots(folder.lake, file), wanted)  # a killed rollback has not done it
    if wanted == left:
        return f"  readers see {left} already"
    return "\n".join(
        [
            f"  readers see {wanted} from now on; before they saw {left}, which is kept",
            f"  back:   {command()} rollback {left}",
            f"  next:   {command()} elt   # builds on {wanted}, of the sources and the code as they are then",
        ]
    )


def list_releases(folder: DataFolder) -> str:
    """Return one line for each release that is kept, or that a training set names; the newest first."""
    from flows.lake.ops import last_rollback, made_of_releases
    from flows.warehouse.releases import MadeOf, kept_releases, newest_release, release_order

    current, kept, recorded = newest_release(folder), kept_releases(folder), made_of_releases(folder.lake)
    users = uses_of_releases(folder)
    rows = []
    for name in sorted({*kept, *(users.keys() & recorded.keys())}, key=release_order, reverse=True):
        mark, reasons = "*" if name == current else " ", ", ".join(users.get(name, []))
        if name in kept:
            rows.append((f"{mark} {name}", *_facts(folder, name), reasons))
        else:
            made_of = MadeOf.parse(recorded[name])
            rows.append((f"{mark} {name}", "", _code(made_of), str(len(made_of.versions)), "", "deleted", reasons))
    lines = draw_table(
        ("  release", "built, UTC", "git commit", "lake tables", "rows", "MB", "kept for"), _aligned(rows)
    )
    rollback = last_rollback(folder.lake)
    if rollback is not None and rollback[0] == current:
        lines += ["", f"  readers were sent here from {rollback[1]} at {rollback[2]:%Y-%m-%d %H:%M} UTC"]
    return "\n".join([*lines, "", "  * is what readers see", f"  more:   {command()} releases RELEASE"])


def copy_to(folder: DataFolder, release: str | None, place: str) -> str:
    """Copy a release, by default the published one, to a place on S3, and return how it is opened from there."""
    from flows.warehouse.copies import copy_release
    from flows.warehouse.releases import newest_release

    name = release or newest_release(folder)
    copy, size = copy_release(folder, name, place)
    done = f"copied, {size / 1e6:,.1f} MB" if size else "there already"
    return "\n".join(
        [
            f"  release {name} is {done}: {copy}",
            f'  open:   {command()} query "from customer_360 limit 5" --release {copy.parent}',
        ]
    )


def describe_release(folder: DataFolder, name: str) -> str:
    """Return all that a release is made of: its code, the set's vars, and the version of each raw table.

    One whose file is deleted is described as the lake has recorded it. Raises UsageError for any other.
    """
    from flows.config.publications import publication_path
    from flows.reproduce import find_made_of
    from flows.warehouse.releases import kept_releases, read_release

    made_of = find_made_of(folder, name)
    facts: dict[str, str] = {}
    if name in kept_releases(folder):
        found = read_release(folder, name)
        facts["built"] = f"{found.built_at:%Y-%m-%d %H:%M:%S} UTC"
        facts["before"] = found.previous or ""
        facts["holds"] = f"{found.tables:,} tables, {found.rows:,} rows, {found.size / 1e6:,.1f} MB"
    else:
        facts["file"] = "deleted"
    facts["kept for"] = ", ".join(uses_of_releases(folder).get(name, []))
    facts["code"] = f"git commit {made_of.commit or 'unknown'}, hash {made_of.code}"
    facts["vars"] = ", ".join(f"{key} = {value!r}" for key, value in made_of.variables.items())
    lines = [f"  release {name}", "", *(f"  {label:<10}{text}" for label, text in facts.items() if text), ""]
    versions = [(str(table), str(version)) for table, version in sorted(made_of.versions.items())]
    lines += draw_table(("table of the lake", "version"), versions, numbers=True)
    if made_of.published:
        published = [
            (name, str(version), str(publication_path(folder.lake, name)))
            for name, version in sorted(made_of.published.items())
        ]
        lines += ["", *draw_table(("published as Delta", "version", "place"), published)]
    return "\n".join(lines)


def uses_of_releases(folder: DataFolder, keep: int | None = None) -> dict[str, list[str]]:
    """Return for whom each release is kept: readers, clones, being one of the newest; and its training sets.

    A training set keeps the versions of the lake, not the file.
    """
    from flows.learning.training_sets import sets_by_release
    from flows.warehouse.releases import RELEASES_KEPT, clones_of, kept_releases, newest_release

    uses: dict[str, list[str]] = {newest_release(folder): ["readers"]}
    keep = RELEASES_KEPT if keep is None else keep
    for name in kept_releases(folder)[-keep:]:
        uses.setdefault(name, []).append(f"the newest {keep}" if keep > 1 else "the newest")
    for clone, name in clones_of(folder).items():
        uses.setdefault(name, []).append(f"clone {clone}")
    for name, sets in sets_by_release(folder).items():
        uses.setdefault(name, []).append(f"training sets {', '.join(sets)}")
    return uses


def _facts(folder: DataFolder, name: str) -> tuple[str, str, str, str, str]:
    """Return what the list shows of a release whose file is kept, damaged ones too."""
    import duckdb

    from flows.warehouse.releases import read_release

    try:
        found: KeptRelease = read_release(folder, name)
    except (StorageFailed, duckdb.Error):
        return "cannot be read", "", "", "", ""
    sizes = f"{found.rows:,}", f"{found.size / 1e6:,.1f}"
    return f"{found.built_at:%Y-%m-%d %H:%M}", _code(found.made_of), str(len(found.made_of.versions)), *sizes


def _code(made_of: "MadeOf") -> str:
    """Return a commit in short, marked if the files differed from it."""
    commit, _, dirty = (made_of.commit or "no git").partition("-")
    return commit[:LONGEST_COMMIT] + (" +" if dirty else "")


def _aligned(rows: Sequence[Sequence[str]], numbers: Sequence[int] = (3, 4, 5)) -> list[list[str]]:
    """Return rows whose numbers are as wide as the widest of their column."""
    widths = {at: max((len(row[at]) for row in rows), default=0) for at in numbers}
    return [[text.rjust(widths[at]) if at in widths else text for at, text in enumerate(row)] for row in rows]
