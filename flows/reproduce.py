"""A release is built again from what it names: versions of the lake, vars of the set, code. The rows are compared."""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from flows.config.contract import contracts_of
from flows.config.publications import publications_of
from flows.config.settings import DATA_VARIABLE, DataFolder, command
from flows.core.errors import StorageFailed, UsageError
from flows.core.names import did_you_mean
from flows.lake.catalog import pin_catalog
from flows.lake.ops import made_of_releases
from flows.lake.publications import publish_versions, whole_versions
from flows.lake.raw import RawTable
from flows.lake.snapshot_backup import restore_snapshots
from flows.warehouse.build import build_candidate, prepare_candidate
from flows.warehouse.clones import keep_as_clone
from flows.warehouse.code_hash import hash_code
from flows.warehouse.dbt import GOOD, Dbt, without_tests
from flows.warehouse.descriptions import published_models
from flows.warehouse.node_states import WITH_ROWS
from flows.warehouse.release import describe_candidate, put_back
from flows.warehouse.releases import MadeOf, kept_releases, read_made_of, release_file, release_order
from flows.warehouse.volatile import is_volatile


@dataclass(frozen=True)
class Rebuilt:
    """A release that was built again: the number of models, and the names of those whose rows are others.

    `volatile` are models that depend on more than code and inputs, and say so; they are not compared. `was_put_back`
    tells whether its file was gone, and is there again.
    """

    name: str
    models: int
    unlike: Sequence[str]
    volatile: Sequence[str]
    was_put_back: bool
    seconds: float


def rebuild_release(folder: DataFolder, name: str) -> Rebuilt:
    """Build a release again, in a folder of its own, and compare the rows of each model with those that it had.

    If its file is gone and all rows agree, the new file takes its place. If some are others, it is kept as a clone.
    Raises UsageError for a release that is not
    known, and if the code is not the release's. Raises StorageFailed if the lake no longer has what it was made of.
    """
    started = time.monotonic()
    made_of = find_made_of(folder, name)
    if made_of.held_back:
        raise _held_back(name, made_of)
    if hash_code(made_of.variables) != made_of.code:
        raise _other_code(folder, name, made_of)
    require_tables(folder, name, made_of)
    place = DataFolder(folder.work / "rebuild" / folder.path.name)
    shutil.rmtree(place.path, ignore_errors=True)
    place.path.mkdir(parents=True)
    if folder.made_up_key.exists():
        shutil.copyfile(folder.made_up_key, place.made_up_key)
    dbt = Dbt.parse(place, made_of.variables)
    models = published_models(dbt.manifest)
    dbt = replace(dbt, manifest=without_tests(dbt.manifest))
    pin_catalog(place.catalog, folder.lake, contracts_of(dbt.manifest.sources.values()), made_of.versions)
    prepare_candidate(place, empty=True)
    restore_snapshots(folder.lake, place.candidate, dbt.snapshots(), name)
    build = build_candidate(dbt, full_refresh=False, select=None)
    if failed := [result.node.name for result in build.results if result.status not in GOOD]:
        raise StorageFailed(f"release {name}", f"it could not be built again: {', '.join(failed)}", "See what failed.")
    tables = {key for key, node in dbt.manifest.nodes.items() if node.config.materialized in WITH_ROWS}
    volatile = {key for key in tables if is_volatile(dbt.manifest.nodes[key])}
    compared = tables - volatile
    contents = describe_candidate(dbt, build, made_of.versions, {}).contents
    unlike = [key for key in compared if contents[key] != made_of.contents.get(key)]
    is_gone = not release_file(folder, name).exists()
    if unlike:
        keep_as_clone(folder, place.candidate, clone_of_rebuilt(name))
    elif is_gone:
        made_of = replace(made_of, published=_publish_again(folder, dbt, place, name, made_of))
        put_back(folder, place.candidate, name, build, made_of, models)
    shutil.rmtree(folder.work / "rebuild", ignore_errors=True)
    others, left_out = (sorted(dbt.manifest.nodes[key].name for key in of) for of in (unlike, volatile))
    return Rebuilt(name, len(compared), others, left_out, is_gone and not unlike, time.monotonic() - started)


def clone_of_rebuilt(name: str) -> str:
    """Return the name of the clone that keeps a rebuilt release whose rows are others."""
    return f"rebuilt_{name.replace('-', '_').replace('.', '_')}"


def _publish_again(folder: DataFolder, dbt: Dbt, place: DataFolder, name: str, made_of: MadeOf) -> Mapping[str, int]:
    """Return the versions of the release's Delta tables; those whose files are gone are written again."""
    wanted = [one for one in publications_of(dbt.manifest.nodes.values()) if one.name in made_of.published]
    kept = whole_versions(folder.lake, made_of.published)
    return publish_versions(folder.lake, place.candidate, wanted, made_of.contents, name, kept)


def find_made_of(folder: DataFolder, name: str) -> MadeOf:
    """Return what a release is made of, by its file or the lake's record; raises UsageError if neither is there."""
    kept, recorded = kept_releases(folder), made_of_releases(folder.lake)
    if name in recorded:
        return MadeOf.parse(recorded[name])
    if name in kept:
        return read_made_of(release_file(folder, name))
    known = sorted({*kept, *recorded}, key=release_order)
    raise UsageError(
        f"There is no release {name}.{did_you_mean(name, known)}", f"There are {', '.join(known) or 'none yet'}."
    )


def require_tables(folder: DataFolder, name: str, made_of: MadeOf) -> None:
    """Require that the lake has each version that a release names, of the same Delta table."""
    for table, version in made_of.versions.items():
        raw = RawTable(folder.lake, table)
        wanted = made_of.table_ids.get(table, raw.table_id)
        if raw.version is None or raw.version < version or raw.table_id != wanted:
            raise StorageFailed(
                f"release {name}: {table}",
                f"the lake has no version {version} of the table that the release was made of",
                "It was made again since. Build a new release of what the lake has: python -m flows elt",
            )


def _held_back(name: str, made_of: MadeOf) -> UsageError:
    earlier = ", ".join(sorted({*made_of.held_back.values()}, key=release_order))
    return UsageError(
        f"The release {name} holds {len(made_of.held_back)} tables back, which are of {earlier}. Nothing was done.",
        f"Build those again: {command()} rebuild {earlier.partition(', ')[0]}",
    )


def _other_code(folder: DataFolder, name: str, made_of: MadeOf) -> UsageError:
    commit, _, is_dirty = (made_of.commit or "").partition("-")
    if not commit or is_dirty:
        return UsageError(
            f"The release {name} was built by other code, with changes that no git commit has. Nothing was done.",
            f"See: {command()} releases {name}",
        )
    return UsageError(
        f"The release {name} was built by other code or versions of dbt and DuckDB. Nothing was done.",
        f"Check it out beside this folder: git worktree add ../{commit[:12]} {commit}. In there, with its "
        f"environment and {DATA_VARIABLE}={folder.path.parent}: python -m flows rebuild {name}",
    )
