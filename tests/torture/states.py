"""The state of a set's data folder, to compare with an undisturbed run, and the invariants that always hold."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
from deltalake import DeltaTable
from support.flow_shop import fingerprint_of
from support.reader import digest_of

from flows.config.contract import SYSTEM_COLUMNS
from flows.config.settings import DataFolder
from flows.core.names import TableName
from flows.lake.catalog import read_pins
from flows.lake.delta import commits, open_table, relation_of
from flows.lake.file_ledger import files_path
from flows.lake.ops import COUNTED, made_of_releases
from flows.lake.quarantine import quarantined_rows
from flows.lake.raw import RawTable, raw_path
from flows.lake.snapshot_backup import snapshot_versions
from flows.learning.training_sets import sets_by_release, stored_sets
from flows.warehouse.releases import MadeOf, kept_releases

TRAINING_SET = "kept"
"""The name of a training set, whose release outlives its file."""

OF_LAKE = ("lake ", "quarantine ", "files ")
HISTORY = "select customer_id, segment from {} where dbt_valid_to is null"


@dataclass(frozen=True)
class State:
    """The rows of every table of lake and release, without load times and run ids."""

    rows: dict[str, Counter[str]]
    digest: str

    @classmethod
    def of(cls, folder: DataFolder) -> "State":
        """Read the state of a folder after a completed run."""
        rows = {f"release {name}": table for name, table in fingerprint_of(folder.warehouse.resolve()).items()}
        rows |= rows_of_lake(folder)
        rows["kept segments"] = ask(
            HISTORY.format(relation_of(open_table(folder.lake / "ops" / "snapshots" / "customer_segments")))
        )
        with duckdb.connect(str(folder.warehouse.resolve()), read_only=True) as database:
            rows["segments"] = database.execute(HISTORY.format("history.customer_segments")).fetchall()
            return cls({name: Counter(map(repr, found)) for name, found in rows.items()}, digest_of(database))

    def lake_differences(self, folder: DataFolder) -> Iterator[str]:
        """Yield how the lake of a folder differs from this state, whatever release is published."""
        found = {name: Counter(map(repr, rows)) for name, rows in rows_of_lake(folder).items()}
        expected = {name: rows for name, rows in self.rows.items() if name.startswith(OF_LAKE)}
        yield from State(found, self.digest).differences(State(expected, self.digest))

    def differences(self, expected: "State") -> Iterator[str]:
        """Yield the missing rows and the surplus rows."""
        for name in sorted(self.rows.keys() | expected.rows.keys()):
            found, wanted = self.rows.get(name, Counter()), expected.rows.get(name, Counter())
            for word, rows in (("missing", wanted - found), ("too many", found - wanted)):
                if rows:
                    yield f"{name}: {rows.total()} of {wanted.total()} rows {word}, such as {next(iter(rows))}"


def rows_of_lake(folder: DataFolder) -> dict[str, list[Any]]:
    """Return the rows of every table of a lake, of its quarantine, and of the files that it was read from."""
    rows, files = {}, relation_of(open_table(files_path(folder.lake)))
    columns = f"columns(lambda name: name not in {tuple(set(SYSTEM_COLUMNS) - {'_deleted'})})"
    for name, one in Stored.of(folder).items():
        rows[f"lake {name}"] = ask(f"select {columns} from {one.rows}")
        rows[f"quarantine {name}"] = ask(f"select _raw, _reasons from {one.quarantined}")
        rows[f"files {name}"] = ask(
            f"select sha256, rows from {files} where table_name = '{name}' and _batch <= {one.table.batch}"
        )
    return rows


@dataclass(frozen=True)
class Stored:
    """A table as the lake has it: opened once, since that takes many requests to S3."""

    table: RawTable
    delta: DeltaTable
    rows: str | None
    quarantined: str

    @classmethod
    def of(cls, folder: DataFolder) -> "dict[TableName, Stored]":
        """Open all tables that were loaded."""
        found = {}
        for path in sorted((folder.lake / "raw").glob("*/*")):
            name = TableName(path.parent.name, path.name)
            table, delta = RawTable(folder.lake, name), open_table(path)
            if delta is not None:
                found[name] = cls(table, delta, relation_of(delta), quarantined_rows(table))
        return found

    def counts(self) -> dict[str, Counter[str]]:
        """Count the rows that were accepted, deleted and quarantined, by load."""
        found: dict[str, Counter[str]] = {}
        for kind, relation, predicate in (
            ("accepted", self.rows, "not _deleted"),
            ("deleted", self.rows, "_deleted and _position is distinct from 'replaced'"),
            ("quarantined", self.quarantined, "true"),
        ):
            for load, rows in ask(f"select _load_id, count(*) from {relation} where {predicate} group by all"):
                found.setdefault(load, Counter())[kind] = rows
        return found


def violations(folder: DataFolder) -> Iterator[str]:
    """Yield the violations of a folder, after a run that was killed or not."""
    stored = Stored.of(folder)
    counts = {name: one.counts() for name, one in stored.items()}
    for name, one in stored.items():
        yield from _unlike_ledger(one, counts[name])
    yield from _not_reconciled(folder, counts)
    for release in sorted(folder.releases.glob("*/warehouse.duckdb")):
        yield from _not_whole(release, stored)
    yield from _not_rebuildable(folder)
    for name, pin in read_pins(folder.catalog).items():
        if (pin.version or 0) > (stored[name].delta.version() if name in stored else 0):
            yield f"the catalog shows a version of {name} that the lake does not hold"
    for page in folder.docs.parent.rglob("*.html"):
        if not page.read_bytes().rstrip().endswith(b"</html>"):
            yield f"the docs site is cut short: {page.name}"
    if folder.warehouse.is_symlink() or folder.warehouse.exists():
        seen = folder.warehouse.resolve()
        if not folder.warehouse.is_symlink() or not seen.exists() or seen.parent.parent != folder.releases.resolve():
            yield f"the link should name a release, and names {folder.warehouse.resolve()}"


def _unlike_ledger(one: Stored, found: dict[str, Counter[str]]) -> Iterator[str]:
    """Compare, by load, the accepted, deleted and quarantined rows with those that the commits of a table state."""
    name, stated = one.table.name, dict[str, Counter[str]]()
    for commit in commits(one.delta):
        if "counts" in commit:
            counts = Counter(dict(zip(COUNTED, _numbers(commit["counts"]), strict=False)))  # a commit of old lacks some
            stated.setdefault(commit["load_id"], Counter()).update(counts)
    for load in found.keys() | stated.keys():
        said, there = stated.get(load, Counter()), found.get(load, Counter())
        for kind in ("accepted", "deleted", "quarantined"):
            if there[kind] != said[kind]:
                yield f"{name}, load {load}: its commits say {said[kind]} {kind}, the lake holds {there[kind]}"
        if said["read"] != said["accepted"] + said["quarantined"] + said["known"] + said["duplicate"]:
            yield f"{name}, load {load}: {said['read']} read is not the sum of {dict(said)}"


def _numbers(counts: str) -> list[int]:
    return [int(number) for number in counts.strip("[]").split(",")]


def _not_reconciled(folder: DataFolder, counts: Mapping[TableName, dict[str, Counter[str]]]) -> Iterator[str]:
    """Compare the rows that completed loads state with those that are there."""
    loads = relation_of(open_table(folder.lake / "ops" / "loads"))
    columns = "load_id, table_name, read, accepted, quarantined, coalesce(known, 0), duplicate"
    for load, table, read, accepted, quarantined, known, duplicate in ask(
        f"select {columns} from {loads} where outcome = 'completed'"
    ):
        there = counts.get(TableName.parse(table), {}).get(load, Counter())
        counted = there["accepted"], there["quarantined"]
        if counted != (accepted, quarantined) or read != accepted + quarantined + known + duplicate:
            yield (
                f"{table}, load {load}: {read} read, {accepted} accepted, {quarantined} quarantined, {known} known, "
                f"{duplicate} duplicate; the lake holds {counted[0]} and {counted[1]}"
            )


def _not_whole(release: Path, stored: Mapping[TableName, Stored]) -> Iterator[str]:
    """Check that a release has the right name, and that all models were built from one state of the lake."""
    try:
        with duckdb.connect(str(release), read_only=True) as database:
            name = database.execute("select release_name from main.release").fetchall()[0][0]
            built = database.execute("select distinct input, batch, row_count from core.incremental_state").fetchall()
    except duckdb.Error as error:
        yield f"{release.parent.name} cannot be read: {str(error).splitlines()[0]}"
        return
    if name != release.parent.name:
        yield f"the file of {release.parent.name} says that it is {name}"
    if len({source for source, *_ in built}) != len(built):
        yield f"{name}: its models were made of different states of the lake: {built}"
    for source, batch, rows in built:
        one = stored.get(TableName.parse(source))
        there = len(ask(f"select 1 from {one.rows if one else None} where _batch <= {batch}"))
        if there != rows:
            yield f"{name}: it was made of {rows} rows of {source}, and the lake holds {there} up to that batch"


def _not_rebuildable(folder: DataFolder) -> Iterator[str]:
    """Look for the files that kept releases, and those of training sets, need to be built again from."""
    recorded, needed = made_of_releases(folder.lake), dict[Path, set[int]]()
    snapshots = list(folder.lake.glob("ops/snapshots/*"))
    releases = {*kept_releases(folder), *sets_by_release(folder)}
    for release in releases:
        if release not in recorded:
            yield f"the lake has no record of {release}"
            continue
        for table, version in MadeOf.parse(recorded[release]).versions.items():
            needed.setdefault(raw_path(folder.lake, table), set()).add(version)
    for path in snapshots:
        needed.setdefault(path, set()).update(snapshot_versions(path, releases).values())
    for path, versions in needed.items():
        there = {file.name for file in path.glob("*.parquet")}
        for version in versions:
            if gone := files_of(path, version) - there:
                yield f"{path.name}: its version {version}, which a release needs, lacks {len(gone)} files"
    for one in stored_sets(folder, TRAINING_SET):
        one.require_content()


@cache
def files_of(path: Path, version: int) -> frozenset[str]:
    """Return the names of the files of a version, which never change while a round goes on."""
    table = open_table(path, version)
    return frozenset(Path(uri).name for uri in table.file_uris()) if table is not None else frozenset({"all of it"})


def orphans(folder: DataFolder) -> int:
    """Count data files of the lake that no commit names; a kill between writing and committing leaves them."""
    found = 0
    for one in Stored.of(folder).values():
        named = {Path(uri).name for uri in one.delta.file_uris()}
        found += sum(file.name not in named for file in one.table.path.glob("*.parquet*"))
    return found


def ask(sql: str) -> list[Any]:
    """Return rows; an empty list if the table does not exist."""
    return [] if "from None" in sql else duckdb.sql(sql).fetchall()
