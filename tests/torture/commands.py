"""The commands that are killed after a day's runs: what each is given, and what must hold after it was killed and when
it is done.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from deltalake import CommitProperties
from sources import DAYS
from states import TRAINING_SET, ask
from support.reader import digest_of

from flows.config import settings
from flows.config.settings import DataFolder
from flows.core.object_store import SCHEME, S3Path
from flows.lake.delta import open_table, relation_of, write_rows
from flows.lake.snapshot_backup import kept_snapshots
from flows.learning.content_hash import hash_table
from flows.learning.releases import read_table
from flows.learning.training_sets import KIND, SetRecord, set_path, sets_by_release
from flows.warehouse.releases import kept_releases, newest_release, release_file

KEPT_BY_PRUNE = 1

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Command:
    """A command that a user types.

    `options` are what it is given, or None if it has nothing to do in that state of the folder. `broken` yields what
    must not be after a kill, `undone` what must not be once it is done.
    """

    function: str
    options: Callable[[DataFolder], Options | None]
    broken: Callable[[DataFolder, Options], Iterator[str]]
    undone: Callable[[DataFolder, Options], Iterator[str]]
    days: tuple[int, ...] = tuple(range(1, DAYS + 1))


def _nothing(_folder: DataFolder, _options: Options) -> Iterator[str]:
    yield from ()


def _copy(folder: DataFolder) -> Options | None:
    lake = os.environ.get(settings.LAKE_VARIABLE, "")
    bucket = lake.removeprefix(SCHEME).partition("/")[0]
    return {"release": newest_release(folder), "to": f"{SCHEME}{bucket}/copies"} if lake.startswith(SCHEME) else None


def _half_copied(folder: DataFolder, options: Options) -> Iterator[str]:
    copy = _place_of_copy(folder, options)
    if copy.is_file() and _hash(copy) != _hash(release_file(folder, options["release"])):
        yield f"the copy {copy} is not the release"


def _not_copied(folder: DataFolder, options: Options) -> Iterator[str]:
    if not _place_of_copy(folder, options).is_file():
        yield f"there is no copy of {options['release']}"


def _place_of_copy(folder: DataFolder, options: Options) -> S3Path:
    return S3Path(options["to"]) / folder.path.name / options["release"] / folder.warehouse.name


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _roll_back(folder: DataFolder) -> Options | None:
    """Go back to the release before the newest one; the next day's runs build on it."""
    kept = kept_releases(folder)
    return {"release": kept[-2]} if len(kept) > 1 else None


def _not_rolled_back(folder: DataFolder, options: Options) -> Iterator[str]:
    if newest_release(folder) != options["release"]:
        yield f"readers should see {options['release']}, and see {newest_release(folder)}"
    with duckdb.connect(str(folder.warehouse.resolve()), read_only=True) as database:
        for schema, name in kept_snapshots(folder.lake, folder.warehouse.resolve()):
            kept = relation_of(open_table(folder.lake / "ops" / "snapshots" / name))
            rows = len(ask(f"select 1 from {kept}"))
            if database.execute(f"select count(*) from {schema}.{name}").fetchall() != [(rows,)]:
                yield f"the lake does not keep the snapshot {name} of the release that readers see"


def _prune(_folder: DataFolder) -> Options:
    return {"keep": KEPT_BY_PRUNE}


def _not_pruned(folder: DataFolder, options: Options) -> Iterator[str]:
    kept = kept_releases(folder)
    wanted = sorted({*kept[-options["keep"] :], newest_release(folder)})
    if sorted(kept) != wanted or len(kept) > KEPT_BY_PRUNE + 1:
        yield f"releases {', '.join(kept)} are kept, of which {', '.join(wanted)} should be"


def _read_again(_folder: DataFolder) -> Options:
    """Read all days again: the lake has each record, so nothing may come of it."""
    return {"first_day": "2000-01-01", "end_day": "2100-01-01", "is_published": True}


def _rebuild(folder: DataFolder) -> Options | None:
    """Rebuild the release of the training set, whose file was deleted long ago."""
    return next(({"release": release} for release in sets_by_release(folder)), None)


def _not_rebuilt(folder: DataFolder, options: Options) -> Iterator[str]:
    if not release_file(folder, options["release"]).exists():
        yield f"the file of {options['release']} is not there again"


COMMANDS = {
    "backfill": Command("flows.cli.backfill:backfill", _read_again, _nothing, _nothing, days=(DAYS,)),
    "copy": Command("flows.cli.releases:releases", _copy, _half_copied, _not_copied),
    "rollback": Command("flows.cli.releases:rollback", _roll_back, _nothing, _not_rolled_back),
    "prune": Command("flows.cli.releases:prune", _prune, _nothing, _not_pruned),
    "rebuild": Command("flows.cli.releases:rebuild", _rebuild, _nothing, _not_rebuilt, days=(DAYS,)),
}
"""In the order in which they are run after a day. A command that is added here is killed like the others."""


def keep_training_set(folder: DataFolder) -> None:
    """Write a training set of the published release, which needs what that was made of from now on."""
    release = newest_release(folder)
    rows = read_table(folder, release, "customer_360", ["customer_id"])
    record = SetRecord(
        release, "customer_360", rows.num_rows, None, "", "", hash_table(rows), ("customer_id",), ("customer_id",),
        None, None, "customer_id", (), 0.0, {}, 1,
    )  # fmt: skip
    properties = CommitProperties(custom_metadata={KIND: record.text})
    write_rows(None, set_path(folder, TRAINING_SET), rows, mode="overwrite", commit_properties=properties)


def digests_of(folder: DataFolder) -> Mapping[str, str]:
    """Return a digest of every release that is kept, by its name."""
    found = {}
    for name in kept_releases(folder):
        with duckdb.connect(str(release_file(folder, name)), read_only=True) as database:
            found[name] = digest_of(database)
    return found
