"""Training sets as versions of Delta tables: each commit says of which definition, release and rows it was made."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from deltalake import CommitProperties

from flows.config.settings import DataFolder, command
from flows.core.errors import StorageFailed, TooFewRows, UsageError
from flows.core.names import TableName, identifier
from flows.core.object_store import S3Path
from flows.lake.catalog import read_pins
from flows.lake.delta import KEEP_COMMITS, WRITTEN, open_table, relation_of, write_rows
from flows.lake.ops import made_of_releases
from flows.learning.content_hash import hash_table, lake_form
from flows.learning.exposures import MlExposure, Split
from flows.learning.frames import to_frame
from flows.learning.project import DbtProject
from flows.learning.releases import count_rows, read_code, read_table
from flows.warehouse.releases import (
    RELEASES_KEPT,
    MadeOf,
    kept_releases,
    named_publications,
    named_versions,
    newest_release,
    release_file,
    release_order,
)

if TYPE_CHECKING:
    import pandas as pd

    from flows.learning.split import Parts

KIND = "training_set"
"""The metadata of a commit that hold the record of a training set."""


@dataclass(frozen=True)
class SetRecord:
    """The record of a training set in its commit: origin and hashes of the rows, and the meaning of their columns.

    `immature_rows` are rows of the label model without a known label, which are left out; None if it is not published.
    `gap` is in seconds.
    """

    release: str
    table: str
    rows: int
    immature_rows: int | None
    definition: str
    spine: str
    content: str
    key: tuple[str, ...]
    entity: tuple[str, ...]
    time: str | None
    known_at: str | None
    label: str
    features: tuple[str, ...]
    gap: float
    split: Mapping[str, Any]
    seed: int

    @classmethod
    def parse(cls, text: str) -> "SetRecord":
        """Read a record as `text` writes it."""
        found = json.loads(text)
        lists = {name: tuple(found[name]) for name in ("key", "entity", "features")}
        return cls(**found | lists)

    @property
    def text(self) -> str:
        """The record as it is written into the commit."""
        return json.dumps(asdict(self), ensure_ascii=False)


@dataclass(frozen=True)
class TrainingSet:
    """A training set: a version of a Delta table. Rows are in the order of the key."""

    name: str
    path: Path
    version: int
    record: SetRecord

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that a model may read."""
        return self.record.features

    @property
    def label(self) -> str:
        """The column to predict."""
        return self.record.label

    @cached_property
    def _rows(self) -> pa.Table:
        relation = relation_of(open_table(self.path, self.version))
        if relation is None:
            raise UsageError(f"The training set {self.name} has no rows.", f"Make one: {command()} train {self.name}")
        order = ", ".join(map(identifier, self.record.key))
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'UTC'")
            return lake_form(connection.sql(f"from {relation} order by {order}").to_arrow_table())

    def to_arrow(self) -> pa.Table:
        """Return the rows as Arrow, in the types of the lake."""
        return self._rows

    def to_pandas(self) -> "pd.DataFrame":
        """Return the rows as a pandas frame, with types that scikit-learn and LightGBM take as they are."""
        return to_frame(self._rows)

    def to_polars(self) -> Any:
        """Return the rows as a Polars frame; Polars is not one of the project's packages: pip install polars."""
        import polars

        return polars.from_arrow(self._rows)

    def splits(self) -> "Parts":
        """Return the rows as two frames, `train` and `test`, as the exposure declares the split."""
        from flows.learning.split import split_rows

        record, frame = self.record, self.to_pandas()
        split = Split.model_validate(dict(record.split))
        return split_rows(
            frame,
            split,
            time=record.time,
            gap=timedelta(seconds=record.gap),
            known_at=record.known_at,
            seed=record.seed,
            name=self.name,
        )

    def require_content(self) -> None:
        """Require that the stored rows are those that were committed; raises StorageFailed."""
        found = hash_table(self._rows)
        if found != self.record.content:
            raise StorageFailed(
                f"training set {self.name}, version {self.version}",
                f"its rows have the hash {found[:16]}, and its commit says {self.record.content[:16]}",
                f"Restore {self.path} from a backup, or make it again of the release, if that is kept: "
                f"{command()} training-set {self.name} --release {self.record.release}",
            )


def set_path(folder: DataFolder, name: str) -> Path:
    """Return the path of the Delta table of a training set."""
    return folder.lake / "training_sets" / name


def stored_sets(folder: DataFolder, name: str) -> Iterator[TrainingSet]:
    """Yield the stored versions of a training set, the newest first."""
    path = set_path(folder, name)
    table = open_table(path)
    for commit in table.history() if table is not None else ():
        if KIND in commit:
            yield TrainingSet(name, path, commit["version"], SetRecord.parse(commit[KIND]))


def sets_by_release(folder: DataFolder) -> dict[str, list[str]]:
    """Return the names of the training sets that were made of each release."""
    found: dict[str, list[str]] = {}
    for path in sorted(set_path(folder, "").glob("*")):
        for release in {one.record.release for one in stored_sets(folder, path.name)}:
            found.setdefault(release, []).append(path.name)
    return found


def needed_versions(folder: DataFolder) -> dict[TableName, set[int]]:
    """Return the versions of raw tables that the catalog, a kept release, or the release of a training set names.

    Of a lake on S3 the newest releases of all machines count.
    """
    needed = named_versions(folder)
    for name, pin in read_pins(folder.catalog).items():
        if pin.version is not None:
            needed.setdefault(name, set()).add(pin.version)
    recorded = made_of_releases(folder.lake)
    for release in _recorded_releases(folder, recorded):
        for name, version in MadeOf.parse(recorded[release]).versions.items():
            needed.setdefault(name, set()).add(version)
    return needed


def needed_publications(folder: DataFolder) -> dict[str, set[int]]:
    """Return the Delta versions of published tables that a release names, as `needed_versions` does for raw tables."""
    needed = named_publications(folder)
    recorded = made_of_releases(folder.lake)
    for release in _releases_elsewhere(folder, recorded):
        for name, version in MadeOf.parse(recorded[release]).published.items():
            needed.setdefault(name, set()).add(version)
    return needed


def _releases_elsewhere(folder: DataFolder, recorded: Mapping[str, str]) -> list[str]:
    """Return the newest releases that a lake on S3 has recorded: this machine does not see the files of others."""
    return sorted(recorded, key=release_order)[-RELEASES_KEPT:] if isinstance(folder.lake, S3Path) else []


def needed_releases(folder: DataFolder) -> set[str]:
    """Return the releases whose snapshots are needed: those of `needed_versions`, whether or not the file is kept."""
    return {*kept_releases(folder), *_recorded_releases(folder, made_of_releases(folder.lake))}


def _recorded_releases(folder: DataFolder, recorded: Mapping[str, str]) -> set[str]:
    """Return the releases that are needed as the lake has recorded them, without a file on this machine."""
    return {*(sets_by_release(folder).keys() & recorded.keys()), *_releases_elsewhere(folder, recorded)}


def make_training_set(
    folder: DataFolder, project: DbtProject, exposure: MlExposure, release: str | None = None
) -> TrainingSet:
    """Write the training set of a release as a new version, and return it; rows that are stored are not written again.

    Each release has its version: for the rows of the version before, only the log names the release.
    """
    release = release or newest_release(folder)
    rows = read_table(folder, release, exposure.train, exposure.key)
    if rows.num_rows == 0:
        raise TooFewRows(
            f"{exposure.where}: {exposure.train} of release {release} has no rows; no label is known yet.",
            f"Load more days, then: {command()} elt",
        )
    record = _record(folder, project, exposure, release, rows)
    last = next(stored_sets(folder, exposure.name), None)
    if last is not None and last.record == record:
        return last
    is_known = last is not None and last.record.content == record.content
    path = set_path(folder, exposure.name)
    write_rows(
        open_table(path),
        path,
        rows.slice(0, 0) if is_known else rows,
        mode="append" if is_known else "overwrite",
        schema_mode=None if is_known else "overwrite",
        commit_properties=CommitProperties(custom_metadata={KIND: record.text}),
        post_commithook_properties=KEEP_COMMITS,
        writer_properties=WRITTEN,
    )
    written = open_table(path)
    assert written is not None, "it was just written"
    made = TrainingSet(exposure.name, path, written.version(), record)
    made.require_content()
    return made


def rebuild_training_set(
    folder: DataFolder, project: DbtProject, exposure: MlExposure, release: str
) -> tuple[TrainingSet, str]:
    """Return the training set of a release, with the place that its rows came from: the release's file, or the lake.

    Raises UsageError if neither is kept, StorageFailed if the rows are not those that were committed.
    """
    stored = next((one for one in stored_sets(folder, exposure.name) if one.record.release == release), None)
    if stored is not None:
        stored.require_content()
    if release_file(folder, release).exists():
        if stored is None:
            return make_training_set(folder, project, exposure, release), "the release"
        rows = read_table(folder, release, stored.record.table, stored.record.key)
        found, committed = hash_table(rows), stored.record.content
        if found != committed:
            raise StorageFailed(
                f"training set {exposure.name} of release {release}",
                f"the release's rows have the hash {found[:16]}, and the lake's commit says {committed[:16]}",
                f"Compare the file with its checksums: {command()} verify --release {release}",
            )
        return stored, "the release"
    if stored is None:
        known = [one.record.release for one in stored_sets(folder, exposure.name)]
        names = sorted({*known, *kept_releases(folder)})
        raise UsageError(
            f"No training set of {exposure.name} names the release {release}, and its file is not kept.",
            f"There are {', '.join(names) or 'no releases yet'}.",
        )
    return stored, f"the lake's version {stored.version}"


def training_set(name: str, release: str | None = None, *, connection_set: str | None = None) -> TrainingSet:
    """Return a training set by the name of its exposure: the newest that is stored, or that of a release.

    One that is not stored yet is made of the published release. `connection_set` is the set's name, by default
    the environment's, else the first of connections.yml.
    """
    from flows.config.sets import DEFAULT_FILE, read_set
    from flows.config.settings import PROJECT, chosen_set
    from flows.learning.exposures import read_exposures

    chosen = connection_set or chosen_set() or read_set(PROJECT / DEFAULT_FILE)[0]
    folder = DataFolder.of(chosen)
    wanted = release or (newest_release(folder) if folder.warehouse.exists() else None)
    for one in stored_sets(folder, name):
        if one.record.release == wanted or wanted is None:
            return one
    project = DbtProject.read(folder)
    (exposure,) = read_exposures(project, [name])
    if release is not None:
        return rebuild_training_set(folder, project, exposure, release)[0]
    return make_training_set(folder, project, exposure)


def _record(folder: DataFolder, project: DbtProject, exposure: MlExposure, release: str, rows: pa.Table) -> SetRecord:
    declared = exposure.declared
    for name in (*exposure.key, declared.label):
        if name not in rows.column_names:
            raise UsageError(
                f"{exposure.where}: {exposure.train} of release {release} has no column {name!r}.",
                "Name a column of it, or publish the model as it is now.",
            )
    features = exposure.features_of(rows.column_names)
    names = [exposure.train, *filter(None, [exposure.label_model])]
    code: dict[str, Any] = dict(read_code(folder, release, names))
    code |= {name: project.code_of(name) for name in names if name not in code}
    meaning = [code, features, exposure.key, declared.label, exposure.horizon.total_seconds()]
    definition = hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()
    immature = None
    if exposure.label_model:
        immature = count_rows(folder, release, exposure.label_model, f"{identifier(declared.label)} is null")
    return SetRecord(
        release=release,
        table=exposure.train,
        rows=rows.num_rows,
        immature_rows=immature,
        definition=definition,
        spine=hash_table(rows.select([name for name in rows.column_names if name not in features])),
        content=hash_table(rows),
        key=exposure.key,
        entity=declared.entity,
        time=declared.time,
        known_at=exposure.known_at if exposure.known_at in rows.column_names else None,
        label=declared.label,
        features=features,
        gap=exposure.gap.total_seconds(),
        split=json.loads(declared.split.model_copy(update={"gap": None}).model_dump_json(exclude_none=True)),
        seed=declared.seed,
    )
