"""Verification: stored rows are counted and hashed again, and compared with what their commits say."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from deltalake import DeltaTable

from flows.core.errors import StorageFailed
from flows.core.names import TableName
from flows.core.storage import lake_table_damaged
from flows.lake.catalog import Pin, Verified
from flows.lake.content import method, stated_contents, unlike_batches
from flows.lake.counts import MADE_BY_A_RECORD, Counts
from flows.lake.damage import damage_named, require_readable, require_readable_files
from flows.lake.delta import commits, open_table, query, readable_files, relation_of
from flows.lake.quarantine import quarantine_path
from flows.lake.raw import raw_path
from flows.lake.reload import newest_readable


@dataclass(frozen=True)
class Verification:
    """The result for one table: its rows, loads and batches, how many batches have no hash to compare with, and faults.

    A batch has no hash if an earlier version of this project wrote it, or another version of DuckDB.
    """

    table: TableName
    rows: int = 0
    loads: int = 0
    batches: int = 0
    unhashed: int = 0
    faults: tuple[str, ...] = ()


def verify_new_files(lake: Path, name: TableName, pin: Pin, before: Verified | None) -> Verified | None:
    """Compare the batches in files that came after the last release with their hashes; None if nothing was loaded.

    Raises StorageFailed with the table, the file and the batch that differs.
    """
    path = raw_path(lake, name)
    table = open_table(path, pin.version) if pin.version is not None else None
    if table is None:
        return None
    table_id = str(table.metadata().id)
    if before is not None and before.table_id != table_id:
        before = None
    with damage_named(lake, [name]):
        batches = _batches_of(set(table.file_uris()) - _files_at(path, before))
        limit = table.version() - before.version + 1 if before is not None else None
        stated = stated_contents(table, limit)
        if batches - stated.keys():
            stated = stated_contents(table)
        for batch, difference in unlike_batches(table, stated, batches).items():
            files = ", ".join(_files_of(table, batch)) or "no file"
            raise lake_table_damaged(path, f"batch {batch}, in {files}: {difference}")
    compared = {batch for batch in batches if batch in stated and stated[batch].method == method()}
    earlier = 0 if before is None else before.batches
    new = compared if before is None else {batch for batch in compared if batch > before.batch}
    return Verified(table_id, table.version(), pin.batch, earlier + len(new))


def verify_table(lake: Path, name: TableName, path: Path | None = None, version: int | None = None) -> Verification:
    """Recount every load of a table and compare every batch with its hash, in its newest version or another."""
    path = path or raw_path(lake, name)
    try:
        if version is None:
            require_readable(path)
            require_readable(quarantine_path(lake, name))
        table = open_table(path, version)
        require_readable_files(table, path)
    except StorageFailed as failure:
        return Verification(name, faults=(failure.cause,))
    if table is None:
        return Verification(name)
    stated = stated_contents(table)
    faults = [f"batch {batch}: {text}" for batch, text in sorted(unlike_batches(table, stated).items())]
    found = _count_by("_batch", table)
    accepted = {load: counts.accepted for load, counts in _counts_by_load(table).items()}
    stored = _count_by("_load_id", table, MADE_BY_A_RECORD)
    for load in accepted.keys() & stored.keys() | {load for load, count in accepted.items() if count}:
        if accepted[load] != stored.get(load, 0):
            faults.append(f"load {load}: it accepted {accepted[load]:,} rows, the lake holds {stored.get(load, 0):,}")
    unhashed = sum(batch not in stated or stated[batch].method != method() for batch in found)
    return Verification(name, sum(found.values()), len(accepted), len(found), unhashed, tuple(faults))


def stored_tables(lake: Path) -> list[TableName]:
    """Return the tables that the lake has a history of, by name."""
    return sorted(TableName(path.parent.name, path.name) for path in lake.glob("raw/*/*") if path.is_dir())


def find_table(lake: Path, name: TableName, table_id: str | None) -> Path:
    """Return where the Delta table of an id lies: in its place, or set aside by a reload."""
    places = [raw_path(lake, name), *(raw_path(aside, name) for aside in sorted(lake.glob("damaged/*")))]
    for place in places if table_id is not None else ():
        try:
            table, _ = newest_readable(place)
        except OSError:
            continue
        if table is not None and str(table.metadata().id) == table_id:
            return place
    return places[0]


def _counts_by_load(table: DeltaTable) -> dict[str, Counts]:
    """Return what the commits of a table counted, by load."""
    loads: dict[str, Counts] = {}
    for commit in commits(table):
        if "counts" in commit:
            load = str(commit["load_id"])
            loads[load] = loads.get(load, Counts()) + Counts.stored(json.loads(commit["counts"]))
    return loads


def _count_by(column: str, table: DeltaTable, predicate: str = "true") -> Counter[Any]:
    return Counter(dict(query(table, f"select {column}, count(*) from {{table}} where {predicate} group by all")))


def _files_at(path: Path, before: Verified | None) -> set[str]:
    """Return the files that were verified before; none if that version cannot be read any more."""
    if before is None:
        return set()
    try:
        table = open_table(path, before.version)
    except StorageFailed:
        return set()
    return set(table.file_uris()) if table is not None else set()


def _batches_of(uris: set[str]) -> set[int]:
    if not uris:
        return set()
    files = readable_files(sorted(uris))
    with duckdb.connect() as connection:
        return {
            batch for (batch,) in connection.execute(f"select distinct _batch from read_parquet([{files}])").fetchall()
        }


def _files_of(table: DeltaTable, batch: int) -> Iterator[str]:
    relation = relation_of(table)
    if relation is None:
        return
    with duckdb.connect() as connection:
        named = relation.removesuffix(")") + ", filename = '_stored_in')"
        rows = connection.execute(f"select distinct _stored_in from {named} where _batch = {batch}").fetchall()
        yield from sorted(Path(file).name for (file,) in rows)
