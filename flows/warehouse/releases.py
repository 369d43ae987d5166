"""The releases of a set: which are kept, what each is made of, and which one was there before another."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from flows.config.settings import DataFolder, command
from flows.core.errors import StorageFailed, UsageError
from flows.core.files import bytes_of
from flows.core.names import TableName, did_you_mean
from flows.core.storage import open_release_file

if TYPE_CHECKING:  # dbt and the Delta library take a second to import; a query or a completion needs neither
    from flows.lake.catalog import Verified
    from flows.warehouse.node_states import NodeState

RELEASES_KEPT = 10

LINK = "release"
"""The link in a clone's folder to the release whose rows it reads."""


@dataclass(frozen=True)
class MadeOf:
    """All that a release follows from, and what came out: it is built again from this.

    `versions` are Delta versions of raw tables, `table_ids` the Delta ids of those tables, `variables` the set's vars.
    `contents` has a hash of the rows of each model, seed and snapshot, by dbt's unique id. `published` are the Delta
    versions of those of its own tables that are published as Delta, too, by their names. `held_back` are the releases
    that held tables come from, by unique id.
    """

    commit: str | None
    code: str
    variables: Mapping[str, Any]
    versions: Mapping[TableName, int]
    table_ids: Mapping[TableName, str]
    contents: Mapping[str, str]
    published: Mapping[str, int] = field(default_factory=dict)
    held_back: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        commit: str | None,
        code: str,
        variables: Mapping[str, Any],
        versions: Mapping[TableName, int | None],
        verified: "Mapping[TableName, Verified]",
        states: "Iterable[NodeState]",
        rewritten: Mapping[str, str] | None = None,
    ) -> "MadeOf":
        """Take what a release says of itself; `rewritten` are hashes of tables that others write to, too."""
        built = {state.unique_id: state.output for state in states if state.kind in ("model", "seed", "snapshot")}
        return cls(
            commit,
            code,
            variables,
            {name: version for name, version in versions.items() if version is not None},
            {name: state.table_id for name, state in verified.items()},
            built | dict(rewritten or {}),
        )

    @classmethod
    def parse(cls, text: str) -> "MadeOf":
        """Read what `text` writes."""
        found = json.loads(text)
        for part in ("versions", "table_ids"):
            found[part] = {TableName.parse(name): value for name, value in found[part].items()}
        return cls(**found)

    @property
    def text(self) -> str:
        """It as JSON, for the lake, whose records outlive the release's file."""
        named = {"versions": self.versions, "table_ids": self.table_ids}
        listed = {part: {str(name): value for name, value in of.items()} for part, of in named.items()}
        return json.dumps(vars(self) | listed, ensure_ascii=False)


@dataclass(frozen=True)
class KeptRelease:
    """A release whose file is kept: when it was built in UTC, what it is made of, its tables, rows and bytes on disk.

    `previous` is the release that readers saw before it, None for the first.
    """

    name: str
    built_at: datetime
    previous: str | None
    made_of: MadeOf
    tables: int
    rows: int
    size: int


def newest_release(folder: DataFolder) -> str:
    """Return the name of the release that readers see; raises UsageError if nothing is published yet.

    A release whose gates failed is never published, so it is never trained on or scored.
    """
    if not folder.warehouse.exists():
        raise UsageError(f"Nothing is published in {folder.path.name} yet.", f"Publish first: {command()} elt")
    return folder.warehouse.resolve().parent.name


def release_file(folder: DataFolder, release: str) -> Path:
    """Return the file of a release, whether or not it is still kept."""
    return folder.releases / release / folder.warehouse.name


def kept_releases(folder: DataFolder) -> list[str]:
    """Return the names of the releases that are kept, the oldest first."""
    found = folder.releases.glob(f"*/{folder.warehouse.name}")
    return sorted((path.parent.name for path in found), key=release_order)


def require_release(folder: DataFolder, release: str) -> Path:
    """Return the file of a release that is kept; raises UsageError for another one."""
    known = kept_releases(folder)
    if release not in known:
        raise UsageError(
            f"There is no release {release}.{did_you_mean(release, known)}",
            f"There are {', '.join(known) or 'none yet'}.",
        )
    return release_file(folder, release)


def previous_release(folder: DataFolder, release: str) -> str | None:
    """Return the release that readers saw before another one, or, if that is gone, the newest of the earlier ones.

    A damaged release does not say what was before it, and readers must get away from it above all.
    """
    known, previous = kept_releases(folder), None
    with suppress(duckdb.Error, StorageFailed):
        previous = _row(release_file(folder, release)).get("previous_release") if release in known else None
    if previous in known:
        return str(previous)
    earlier = [name for name in known if release_order(name) < release_order(release)]
    return earlier[-1] if earlier else None


def read_release(folder: DataFolder, release: str) -> KeptRelease:
    """Read what a kept release says of itself; raises StorageFailed if its file cannot be read."""
    file = release_file(folder, release)
    with open_release_file(file) as connection:
        tables, rows = connection.execute(
            "select count(*), coalesce(sum(estimated_size), 0) from duckdb_tables() where schema_name <> 'main'"
        ).fetchall()[0]
    stated = _row(file)
    previous, size = stated.get("previous_release"), bytes_of(file.parent)
    return KeptRelease(release, stated["built_at"], previous, _made_of(stated), tables, int(rows), size)


def read_made_of(database: Path) -> MadeOf:
    """Return what a release is made of, as its file says."""
    return _made_of(_row(database))


def read_held(database: Path) -> Mapping[str, str]:
    """Return the releases that the held tables of a release come from, by dbt's unique id; empty without any."""
    return read_made_of(database).held_back if database.exists() else {}


def held_tables(database: Path) -> Mapping[str, str]:
    """Return the releases that the held tables and functions of a release come from, by their names, sorted."""
    held = {key.rpartition(".")[2]: of for key, of in read_held(database).items() if not key.startswith("source.")}
    return dict(sorted(held.items()))


def named_versions(folder: DataFolder) -> dict[TableName, set[int]]:
    """Return the Delta versions of raw tables that the kept releases were built from."""
    named: dict[TableName, set[int]] = {}
    for release in kept_releases(folder):
        for table, version in read_versions(release_file(folder, release)).items():
            named.setdefault(table, set()).add(version)
    return named


def named_publications(folder: DataFolder) -> dict[str, set[int]]:
    """Return the Delta versions of published tables that the kept releases name, by the table's name."""
    named: dict[str, set[int]] = {}
    for release in kept_releases(folder):
        for name, version in read_made_of(release_file(folder, release)).published.items():
            named.setdefault(name, set()).add(version)
    return named


def read_versions(database: Path) -> dict[TableName, int]:
    """Return the Delta versions of the raw tables that a release was built from."""
    with duckdb.connect(str(database), read_only=True) as release:
        rows = release.execute("select unnest(map_entries(raw_versions), recursive := true) from main.release")
        return {TableName.parse(table): version for table, version in rows.fetchall()}


def clones_of(folder: DataFolder) -> dict[str, str]:
    """Return the release that each clone reads, by the clone's name; a clone that shares no release is left out."""
    places = sorted(folder.clones.iterdir()) if folder.clones.is_dir() else []
    return {place.name: (place / LINK).readlink().name for place in places if (place / LINK).is_symlink()}


def released_batch(folder: DataFolder, table: TableName) -> int:
    """Return the newest batch of a raw table that any kept release was built from; 0 if none knows the table.

    A release that readers were sent back from counts, too: they may be sent to it again.
    """
    batches = [0]
    for release in kept_releases(folder):
        try:
            found = dict(_row(release_file(folder, release)).get("verified") or ())
        except (duckdb.Error, StorageFailed):
            continue
        batches.append(found[str(table)]["batch"] if str(table) in found else 0)
    return max(batches)


def release_order(name: str) -> tuple[str, int]:
    """Return what releases are sorted by: the day, then the number as a number."""
    day, _, number = name.rpartition(".")
    return day, int(number) if number.isdigit() else 0


def _row(database: Path) -> dict[str, Any]:
    """Return the row in which a release says what it is; an earlier version of this project wrote fewer columns."""
    with open_release_file(database) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return dict(connection.sql("from main.release").to_arrow_table().to_pylist()[0])


def _made_of(stated: Mapping[str, Any]) -> MadeOf:
    return MadeOf(
        stated["git_commit"],
        stated["code_hash"],
        json.loads(stated.get("variables") or "{}"),
        {TableName.parse(name): version for name, version in stated["raw_versions"]},
        {TableName.parse(name): state["table_id"] for name, state in stated.get("verified") or ()},
        dict(stated.get("contents") or ()),
        {name: one["version"] for name, one in stated.get("delta_versions") or ()},
        dict(stated.get("held_back") or ()),
    )
