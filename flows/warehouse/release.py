"""Publishing: the tested candidate becomes an immutable, named file, and one link flips to it."""

import logging
import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb

from flows.config import settings
from flows.config.settings import DataFolder
from flows.core.clock import utc_now
from flows.core.errors import Finding, GateFailed
from flows.core.names import TableName, identifier
from flows.warehouse.build import Build, Fingerprint, require_closed
from flows.warehouse.dbt import TESTS

logger = logging.getLogger(__name__)


RELEASES_KEPT = 10


@dataclass(frozen=True)
class Release:
    """A published warehouse: its name, such as 2026-03-02.1, and its file."""

    name: str
    path: Path


def publish_candidate(folder: DataFolder, build: Build, versions: Mapping[TableName, int | None]) -> Release:
    """Turn the candidate into a release that names what it was made of, and flip the link.

    `versions` are the Delta versions of the raw tables that it was built from. Until the flip readers see the old
    release, afterwards the new one; a reader that has the old one open keeps it. Raises GateFailed if the candidate is
    not the file that was tested.
    """
    if Fingerprint.of(folder.candidate) != build.fingerprint:
        raise GateFailed(
            "publish",
            (Finding("candidate", "it was changed after it was tested"),),
            "Run again: python -m flows elt",
        )
    name = _next_name(folder.releases)
    _seal(folder.candidate, name, build, versions)
    place = folder.releases / name
    place.mkdir(parents=True)
    os.rename(folder.candidate, place / folder.warehouse.name)
    _sync(place)
    _flip(folder, place)
    return Release(name, place / folder.warehouse.name)


def prune_releases(folder: DataFolder, keep: int = RELEASES_KEPT) -> list[str]:
    """Delete all but the newest releases, never the one that readers are sent to; return the names of what is gone.

    A folder without its file, which a killed run has left, is no release. A reader that has one of them open keeps it:
    its bytes go when it is closed.
    """
    standing = sorted((path for path in folder.releases.iterdir() if path.is_dir()), key=lambda path: _order(path.name))
    whole = [path for path in standing if (path / folder.warehouse.name).exists()]
    kept = {*whole[-keep:], folder.warehouse.resolve().parent}
    gone = [path for path in standing if path not in kept]
    for path in gone:
        shutil.rmtree(path)
    return [path.name for path in gone]


def named_versions(folder: DataFolder) -> dict[TableName, set[int]]:
    """Return the Delta versions of raw tables that the kept releases were built from."""
    named: dict[TableName, set[int]] = {}
    for path in folder.releases.glob(f"*/{folder.warehouse.name}"):
        with duckdb.connect(str(path), read_only=True) as release:
            rows = release.execute("select unnest(map_entries(raw_versions), recursive := true) from main.release")
            for table, version in rows.fetchall():
                named.setdefault(TableName.parse(table), set()).add(version)
    return named


def _order(name: str) -> tuple[str, int]:
    day, _, number = name.rpartition(".")
    return day, int(number) if number.isdigit() else 0


def _seal(candidate: Path, name: str, build: Build, versions: Mapping[TableName, int | None]) -> None:
    """Drop the views, which cannot be read without the lake, write the table `release`, and close the file for good."""
    with duckdb.connect(str(candidate)) as database:
        views = database.execute(
            "select schema_name, view_name from duckdb_views() "
            "where not internal and database_name = current_database()"
        ).fetchall()
        for schema, view in views:
            database.execute(f"drop view if exists {identifier(schema)}.{identifier(view)} cascade")
        for schema in {schema for schema, _ in views}:
            with suppress(duckdb.Error):  # it holds tables too
                database.execute(f"drop schema {identifier(schema)}")
        tests = dict(build.earlier) | {
            result.node.name: str(result.status) for result in build.results if result.node.resource_type in TESTS
        }
        database.execute(
            "create or replace table main.release as select $name as release_name, $built as built_at, "
            "$commit as git_commit, $code as code_hash, $invocation as dbt_invocation_id, "
            "cast($versions as map(varchar, bigint)) as raw_versions, cast($tests as map(varchar, varchar)) as tests",
            {
                "name": name,
                "built": utc_now(),
                "commit": _git_commit(),
                "code": build.code,
                "invocation": build.invocation_id,
                "versions": _map({str(table): version for table, version in versions.items() if version is not None}),
                "tests": _map(tests),
            },
        )
        database.execute("comment on table main.release is 'What this file was made of, one row.'")
        database.execute("checkpoint")
    require_closed(candidate)
    with candidate.open("rb") as file:
        os.fsync(file.fileno())


def _map(entries: Mapping[str, object]) -> dict[str, list[object]]:
    return {"key": list(entries.keys()), "value": list(entries.values())}


def _next_name(releases: Path) -> str:
    today = f"{utc_now():%Y-%m-%d}"
    taken = [
        int(path.name.rpartition(".")[2])
        for path in releases.glob(f"{today}.*")
        if path.name.rpartition(".")[2].isdigit()
    ]
    return f"{today}.{max(taken, default=0) + 1}"


def _flip(folder: DataFolder, place: Path) -> None:
    newest = folder.warehouse.with_name(f"{folder.warehouse.name}.new")
    newest.unlink(missing_ok=True)
    newest.symlink_to(Path(folder.releases.name) / place.name / folder.warehouse.name)
    os.replace(newest, folder.warehouse)
    _sync(folder.path)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _git_commit() -> str | None:
    """Return the commit that is checked out, marked if the tree differs from it; None outside a checkout."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=settings.PROJECT,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return described.stdout.strip() or None
