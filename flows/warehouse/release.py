"""Publishing: the tested candidate becomes an immutable, named file, and one link flips to it."""

import json
import logging
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from flows.config import settings
from flows.config.connections import PARQUET
from flows.config.publications import publication_path
from flows.config.settings import DataFolder
from flows.core.clock import utc_now
from flows.core.errors import Finding, GateFailed, StorageFailed
from flows.core.files import FileState, bytes_of
from flows.core.git import describe_commit
from flows.core.names import TableName, identifier
from flows.core.redaction import scrub_values, without_values
from flows.core.storage import REBUILD, open_release_file, sync_path
from flows.lake.catalog import Verified
from flows.warehouse.annotate import annotate, create_main_views
from flows.warehouse.build import Build, require_closed
from flows.warehouse.dbt import TESTS, Dbt
from flows.warehouse.descriptions import BOOKKEEPING_TABLES, PublishedModel
from flows.warehouse.node_states import hash_tables, note_file, write_states
from flows.warehouse.parquet import write_parquet
from flows.warehouse.release_format import open_to_close
from flows.warehouse.releases import (
    RELEASES_KEPT,
    MadeOf,
    clones_of,
    newest_release,
    read_made_of,
    release_file,
    release_order,
    require_release,
)

logger = logging.getLogger(__name__)


VERIFIED = "struct(table_id varchar, version bigint, batch bigint, batches bigint)"
PUBLISHED = "struct(uri varchar, version bigint)"


@dataclass(frozen=True)
class Release:
    """A published warehouse: its name, such as 2026-03-02.1, and its file."""

    name: str
    path: Path


def publish_candidate(
    folder: DataFolder,
    build: Build,
    versions: Mapping[TableName, int | None],
    verified: Mapping[TableName, Verified] | None = None,
    name: str | None = None,
    *,
    models: Sequence[PublishedModel] = (),
    formats: Sequence[str] = (),
    made_of: MadeOf | None = None,
) -> Release:
    """Turn the candidate into a release that names what it was made of, and flip the link.

    `versions` are the Delta versions of the raw tables that it was built from. `verified` says which of their batches
    were compared with the hashes of their commits. Without a `name` it gets the day's next one. `models` are the
    descriptions that become comments. With `formats` of "parquet" the marts lie beside the file as Parquet, too.
    `made_of` is what `describe_candidate` returns.

    Until the flip readers see the old release, afterwards the new one; a reader that has the old one open keeps it.
    Raises GateFailed if the candidate is not the file that was tested.
    """
    if FileState.of(folder.candidate) != build.file:
        raise GateFailed(
            "publish",
            (Finding("candidate", "it was changed after it was tested"),),
            "Run again: python -m flows elt",
        )
    name = name or next_release_name(folder)
    before = newest_release(folder) if folder.warehouse.exists() else None
    verified, states = verified or {}, build.states.values()
    if made_of is None:
        made_of = MadeOf.of(describe_commit(settings.PROJECT), build.code, {}, versions, verified, states)
    _seal(folder, folder.candidate, name, before, build, made_of, verified, models)
    exported = folder.candidate.with_name(PARQUET)
    if PARQUET in formats:
        write_parquet(folder.candidate, models, exported)
    file = _move_in(folder, folder.candidate, name)
    _flip(folder, file.parent)
    return Release(name, file)


def describe_candidate(
    dbt: Dbt, build: Build, versions: Mapping[TableName, int | None], verified: Mapping[TableName, Verified]
) -> MadeOf:
    """Return what a candidate is made of, and hashes of its rows as they are now; vars are without secrets."""
    states, kept = build.states.values(), hash_tables(dbt.folder.candidate, dbt.kept_models())
    variables, commit = scrub_values(dbt.variables), describe_commit(settings.PROJECT)
    return MadeOf.of(commit, build.code, variables, versions, verified, states, kept)


def put_back(
    folder: DataFolder, candidate: Path, name: str, build: Build, made_of: MadeOf, models: Sequence[PublishedModel]
) -> Release:
    """Make a candidate the file of a release that was deleted; readers stay where they are."""
    _seal(folder, candidate, name, None, build, made_of, {}, models)
    return Release(name, _move_in(folder, candidate, name))


def roll_back(folder: DataFolder, name: str) -> Release:
    """Send readers to another release that is kept, also to a later one; that is the one that the next run builds on.

    Raises UsageError if it is not kept, StorageFailed if its file is damaged; readers then stay where they are.
    """
    file = require_release(folder, name)
    require_readable_release(file)
    _flip(folder, file.parent)
    return Release(name, file)


def next_release_name(folder: DataFolder, used: Iterable[str] = ()) -> str:
    """Return today's next name for a release, such as 2026-03-02.1; a name that was ever used is not used again.

    Used are the names of the folders, the name that readers are sent to, and those that the records of runs know.
    """
    today = f"{utc_now():%Y-%m-%d}"
    there = [path.name for path in folder.releases.glob("*")] if folder.releases.is_dir() else []
    if folder.warehouse.is_symlink():
        there.append(folder.warehouse.readlink().parent.name)
    taken = [release_order(name)[1] for name in (*there, *used) if name.startswith(f"{today}.")]
    return f"{today}.{max(taken, default=0) + 1}"


def last_verified(folder: DataFolder) -> dict[TableName, Verified]:
    """Return what the published release says was verified of each raw table; nothing if it cannot be read."""
    try:
        return read_verified(folder.warehouse) if folder.warehouse.exists() else {}
    except duckdb.Error:
        return {}


def last_published(folder: DataFolder) -> Mapping[str, int]:
    """Return the versions of Delta tables that the published release names; nothing if it cannot be read."""
    try:
        return read_made_of(folder.warehouse.resolve()).published if folder.warehouse.exists() else {}
    except (duckdb.Error, StorageFailed):
        return {}


def read_verified(database: Path) -> dict[TableName, Verified]:
    """Return what a release says was verified of each raw table; an earlier version of this project said nothing."""
    with duckdb.connect(str(database), read_only=True) as release:
        try:
            rows = release.execute("select verified from main.release").fetchall()
        except duckdb.BinderException:
            return {}
    return {TableName.parse(table): Verified(**state) for table, state in rows[0][0].items()} if rows else {}


def released_tests(folder: DataFolder) -> dict[str, str]:
    """Return the status of each test in the published release; empty if there is no release that can be read."""
    try:
        with duckdb.connect(str(folder.warehouse.resolve()), read_only=True) as release:
            rows = release.execute("select tests from main.release").fetchall()
    except duckdb.Error:
        return {}
    return dict(rows[0][0]) if rows else {}


def prune_releases(folder: DataFolder, keep: int = RELEASES_KEPT, left: str | None = None) -> dict[str, int]:
    """Delete all but the newest releases; return the bytes that each deleted one took, by its name.

    The one that readers are sent to stays, and so does one that a clone reads. So does the one that readers have just
    `left`: one of them may have followed the link, and not opened the file yet. A folder without its file, which a
    killed run has left, is no release. A reader that has one open keeps it: its bytes go when it is closed.
    """
    standing = sorted(
        (path for path in folder.releases.iterdir() if path.is_dir()), key=lambda path: release_order(path.name)
    )
    whole = [path for path in standing if (path / folder.warehouse.name).exists()]
    kept = {path.name for path in whole[-keep:]} | {folder.warehouse.resolve().parent.name, left}
    kept |= {*clones_of(folder).values()}
    gone = {path.name: bytes_of(path) for path in standing if path.name not in kept}
    for name in gone:
        release_file(folder, name).unlink(missing_ok=True)  # first: a release without its Parquet files is none
        shutil.rmtree(folder.releases / name)
    return gone


def require_readable_release(database: Path) -> None:
    """Require that every block of a release's tables agrees with the checksum that DuckDB keeps of it."""
    what = f"the release {database.parent.name} cannot be read"
    with open_release_file(database) as release:
        tables = release.execute("select schema_name, table_name from duckdb_tables() where not internal").fetchall()
        for schema, table in tables:
            try:
                release.execute(
                    f"select bit_xor(hash(stored)) from {identifier(schema)}.{identifier(table)} as stored"
                ).fetchall()
            except duckdb.Error as error:
                raise StorageFailed(what, f"{schema}.{table}: {without_values(error)}", REBUILD) from None


def _seal(
    folder: DataFolder,
    candidate: Path,
    name: str,
    before: str | None,
    build: Build,
    made_of: MadeOf,
    verified: Mapping[TableName, Verified],
    models: Sequence[PublishedModel],
) -> None:
    """Drop the views of the lake, write `release`, the comments and the views in `main`, and close the file for good.

    Views of the lake cannot be read without it.
    """
    with open_to_close(candidate) as database:
        views = database.execute(
            "select schema_name, view_name from duckdb_views() "
            "where not internal and database_name = current_database()"
        ).fetchall()
        for schema, view in views:
            database.execute(f"drop view if exists {identifier(schema)}.{identifier(view)} cascade")
        for schema in {schema for schema, _ in views}:
            with suppress(duckdb.Error):  # it holds tables too
                database.execute(f"drop schema {identifier(schema)}")
        write_states(database, build.states.values())
        database.execute(
            "create or replace table main.release as select $name as release_name, $built as built_at, "
            "$commit as git_commit, $code as code_hash, $invocation as dbt_invocation_id, "
            "cast($invocations as varchar[]) as dbt_invocation_ids, "
            "cast($versions as map(varchar, bigint)) as raw_versions, cast($tests as map(varchar, varchar)) as tests, "
            f"cast($verified as map(varchar, {VERIFIED})) as verified, cast($before as varchar) as previous_release, "
            "$variables as variables, cast($contents as map(varchar, varchar)) as contents, "
            f"cast($published as map(varchar, {PUBLISHED})) as delta_versions, "
            "cast($held as map(varchar, varchar)) as held_back",
            {
                "name": name,
                "built": utc_now(),
                "commit": made_of.commit,
                "code": made_of.code,
                "invocation": build.invocation_id,
                "invocations": list(build.invocations),
                "versions": _map({str(table): version for table, version in made_of.versions.items()}),
                "tests": _map(_verdicts(build)),
                "verified": _map({str(table): asdict(state) for table, state in verified.items()}),
                "before": before,
                "variables": json.dumps(made_of.variables),
                "contents": _map(made_of.contents),
                "published": _map(_delta_versions(folder, made_of)),
                "held": _map(made_of.held_back),
            },
        )
        annotate(database, (*BOOKKEEPING_TABLES, *models))
        create_main_views(database)
        database.execute("checkpoint")
    require_closed(candidate)
    sync_path(candidate)


def _verdicts(build: Build) -> dict[str, str]:
    """Return the status of each test, also of those whose result the last release has."""
    tests = dict.fromkeys(build.passed_before, "pass") | {state.name: state.status for state in build.kept(*TESTS)}
    ran = (result for result in build.results if result.node.resource_type in TESTS)
    return tests | {result.node.name: str(result.status) for result in ran}


def _delta_versions(folder: DataFolder, made_of: MadeOf) -> dict[str, object]:
    """Return place and version of each table that is published as a Delta table, too."""
    return {
        name: {"uri": str(publication_path(folder.lake, name)), "version": version}
        for name, version in made_of.published.items()
    }


def _map(entries: Mapping[str, object]) -> dict[str, list[object]]:
    return {"key": list(entries.keys()), "value": list(entries.values())}


def _move_in(folder: DataFolder, candidate: Path, name: str) -> Path:
    """Move a sealed candidate, and what lies beside it, to the place of a release, and return its file."""
    place = folder.releases / name
    place.mkdir(parents=True, exist_ok=True)
    exported = candidate.with_name(PARQUET)
    if exported.exists():  # first, since a folder with the release's file counts as whole
        os.rename(exported, place / PARQUET)
    file = place / folder.warehouse.name
    os.rename(candidate, file)
    note_file(file)
    sync_path(place)
    return file


def _flip(folder: DataFolder, place: Path) -> None:
    newest = folder.warehouse.with_name(f"{folder.warehouse.name}.new")
    newest.unlink(missing_ok=True)
    newest.symlink_to(Path(folder.releases.name) / place.name / folder.warehouse.name)
    os.replace(newest, folder.warehouse)
    sync_path(folder.path)
