"""A table that takes the place of a damaged one, which is set aside and not deleted.

It is staged as a lake of its own in the folder `reload`, as `.new`. Once it is complete it is called `.ready`, and
`.done` after it was moved. The next command completes a move that was interrupted. Old tables stay in `damaged`.
For a lake on S3 it is staged in the data folder, and moved by copies.
"""

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

from flows.config.contract import SYSTEM_COLUMNS, Contract
from flows.config.settings import lake_copy
from flows.core.clock import utc_now
from flows.core.errors import StorageFailed
from flows.core.names import TableName, identifier, literal
from flows.core.object_store import S3Path
from flows.lake.content import BATCHES, content_metadata, hash_rows, hashed_columns, stated_contents, unlike_batches
from flows.lake.copies import local_files
from flows.lake.counts import Counts
from flows.lake.damage import data_files, is_readable
from flows.lake.delta import (
    ENTRY,
    FREQUENT_CHECKPOINTS,
    KEEP_COMMITS,
    KEEP_LOG,
    WRITTEN,
    commits,
    open_table,
    query,
    relation_of,
    replace_batch,
)
from flows.lake.file_ledger import FILES, files_path
from flows.lake.lease import require_lease
from flows.lake.ops import LOADS
from flows.lake.quarantine import quarantine_path
from flows.lake.raw import ROWS_A_PIECE, RawTable, raw_path

MOVES = "moves.json"
"""The file of a staged lake that says which of its tables take a place, and whose loads and files it records."""


def begin_staging(lake: Path, label: str) -> Path:
    """Return an empty folder for a table that is made again; what an interrupted reload has left goes."""
    stage = _staging(lake) / f"{label.replace('/', '-of-')}.new"
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir(parents=True)
    return stage


def _staging(lake: Path) -> Path:
    """Return the folder of this machine in which tables of a lake are made again."""
    return lake_copy(lake).with_name("reload") if isinstance(lake, S3Path) else lake / "reload"


def take_place(lake: Path, stage: Path, parts: list[str], table: TableName | None = None) -> Path:
    """Move staged tables into their places, and return where the ones before them lie now."""
    for part in parts:
        (stage / part).mkdir(parents=True, exist_ok=True)
    (stage / MOVES).write_text(json.dumps({"parts": parts, "table": str(table) if table else None}))
    ready = stage.with_name(f"{stage.stem}-{utc_now():%Y%m%dT%H%M%S%f}.ready")
    os.rename(stage, ready)
    finish_reloads(lake)
    return lake / "damaged" / ready.stem


def finish_reloads(lake: Path) -> None:
    """Complete every move that was begun; each step can be repeated after a kill."""
    for done in _staging(lake).glob("*.done"):
        shutil.rmtree(done)
    for ready in sorted(_staging(lake).glob("*.ready")):
        moves = json.loads((ready / MOVES).read_text())
        for part in moves["parts"]:
            if (ready / part).exists():
                _move_in(ready / part, lake / part, lake / "damaged" / ready.stem / part)
        if moves["table"] is not None:
            _merge_records(lake, ready, moves["table"])
        done = ready.with_suffix(".done")
        os.rename(ready, done)
        shutil.rmtree(done)


def _move_in(new: Path, place: Path, aside: Path) -> None:
    if isinstance(place, S3Path):
        _upload_in(new, place, aside)
        return
    if place.exists():
        aside.parent.mkdir(parents=True, exist_ok=True)
        os.rename(place, aside)
    place.parent.mkdir(parents=True, exist_ok=True)
    os.rename(new, place)


def _upload_in(new: Path, place: S3Path, aside: Path) -> None:
    """Copy a table on S3 aside, and upload another one in its place, whose log comes last.

    A file beside the new table says that the one before is aside, so that each step can be repeated after a kill.
    """
    require_lease(place)
    is_aside = new.with_name(f"{new.name}.aside")
    if not is_aside.exists():
        before = list(place.rglob("*"))
        for one in before:
            one.copy_to(aside / one.relative_to(place).as_posix())
        for one in before:
            one.unlink(missing_ok=True)
        is_aside.touch()
    files = (path for path in new.rglob("*") if path.is_file())
    for file in sorted(files, key=lambda path: ("_delta_log" in path.parts, path.name)):
        (place / file.relative_to(new)).upload(file)
    shutil.rmtree(new)


def _merge_records(lake: Path, ready: Path, table: str) -> None:
    """Take over which files the reload has read, instead of those before it, and the record of its load."""
    files, loads = open_table(files_path(ready)), open_table(ready / "ops" / "loads")
    replace_batch(files_path(lake), _rows(files, FILES), f"table_name = {literal(table)}")
    for (load_id,) in query(loads, "select load_id from {table}"):
        one = f"load_id = {literal(load_id)}"
        replace_batch(lake / "ops" / "loads", _rows(loads, LOADS, one), one)


def _rows(table: DeltaTable | None, schema: pa.Schema, where: str = "true") -> pa.Table:
    relation = relation_of(table)
    if relation is None:
        return schema.empty_table()
    listed = ", ".join(identifier(name) for name in schema.names)
    with duckdb.connect() as connection:
        return connection.sql(f"select {listed} from {relation} where {where}").to_arrow_table().cast(schema)


def newest_readable(path: Path) -> tuple[DeltaTable | None, int]:
    """Return the newest version of a table whose log can be read, and how many entries come after it."""
    log = path / "_delta_log"
    versions = (
        sorted(int(file.stem) for file in log.glob("*.json") if ENTRY.fullmatch(file.name)) if log.is_dir() else []
    )
    for after, version in enumerate([None, *reversed(versions)]):
        try:
            return open_table(path, version), max(0, after - 1)
        except StorageFailed:
            continue
    return None, len(versions)


def readable_rows(table: DeltaTable | None, path: Path, select: str = "*", *, whole: bool = True) -> str | None:
    """Return SQL for the rows of a table's files that can be read, `whole` or at least in the columns selected."""
    kept = []
    for file in data_files(table, path) if table is not None else ():
        if file.exists() and (is_readable(file) if whole else _has_columns(file, select)):
            kept += [literal(str(local)) for local in local_files([file])]
    return f"(select {select} from read_parquet([{', '.join(kept)}], union_by_name = true))" if kept else None


def _has_columns(file: Path, select: str) -> bool:
    with duckdb.connect() as connection:
        try:
            (local,) = local_files([file], again=True)
            connection.execute(f"select {select} from read_parquet([{literal(str(local))}])").fetchall()
        except duckdb.Error:
            return False
    return True


def keep_sound_batches(lake: Path, stage: Path, name: TableName, known: int, *, afresh: bool) -> tuple[int, int]:
    """Begin the staged history with the batches that are as they were committed, or `afresh` with none.

    Batches are numbered on from the newest one that is known, so that every reader of the table sees new ones. Returns
    the number of rows that were kept, and of those that were left out.
    """
    path = raw_path(lake, name)
    table, unread = newest_readable(path)
    rows = None if afresh else readable_rows(table, path)
    with duckdb.connect() as connection:
        stated = stated_contents(table) if table is not None else {}
        unlike = unlike_batches(table, stated, relation=rows) if table is not None and rows else {}
        sound = f"from {rows} where _batch not in ({', '.join(map(str, [-1, *unlike]))})"
        types = ", ".join(f"cast(null as {kind}) as {identifier(column)}" for column, kind in SYSTEM_COLUMNS.items())
        kept = connection.sql(sound if rows else f"select {types} where false")
        hashes = hash_rows(kept, hashed_columns(kept))
        last = max(known, (table.transaction_version(str(name)) or 0) if table is not None else 0) + unread
        total = sum(count for count, _ in hashes.values())
        write_deltalake(
            str(raw_path(stage, name)),
            kept.to_arrow_reader(ROWS_A_PIECE),
            mode="append",
            configuration=KEEP_LOG | FREQUENT_CHECKPOINTS if isinstance(lake, S3Path) else KEEP_LOG,
            commit_properties=CommitProperties(
                custom_metadata=content_metadata(hashes, hashed_columns(kept)) | {"total_rows": str(total)},
                app_transactions=[Transaction(str(name), last)],
            ),
            post_commithook_properties=KEEP_COMMITS,
            writer_properties=WRITTEN,
        )
    return total, sum(content.rows for batch, content in stated.items() if batch not in hashes)


def keep_rows(path: Path, target: Path, where: str = "true") -> int:
    """Write the readable rows of a damaged table to another place; return how many."""
    rows = readable_rows(newest_readable(path)[0], path)
    if rows is None:
        return 0
    with duckdb.connect() as connection:
        kept = connection.sql(f"from {rows} where {where}")
        write_deltalake(str(target), kept.to_arrow_reader(ROWS_A_PIECE), mode="append", configuration=KEEP_LOG)
        return int(kept.aggregate("count(*)").fetchall()[0][0])


def restore_loads(lake: Path, stage: Path) -> None:
    """Record the loads again that the logs of the tables know and the readable records do not."""
    path = stage / "ops" / "loads"
    known = {load for (load,) in query(open_table(path), "select load_id from {table}")}
    rows: dict[str, dict[str, Any]] = {}
    for place in sorted(lake.glob("raw/*/*")):
        table, name = newest_readable(place)[0], TableName(place.parent.name, place.name)
        for commit in commits(table) if table is not None else ():
            if "counts" in commit and commit["load_id"] not in known:
                moment = datetime.fromtimestamp(commit["timestamp"] / 1000, UTC).replace(tzinfo=None)
                new = {"load_id": commit["load_id"], "run_id": "reload", "table_name": str(name), "started_at": moment}
                row = rows.setdefault(commit["load_id"], new | {"seconds": 0.0, "outcome": "completed"})
                row.setdefault("batch", max(map(int, json.loads(commit.get(BATCHES, "{}"))), default=0))
                counts = Counts.stored(json.loads(commit["counts"]))
                row |= {column: row.get(column, 0) + count for column, count in vars(counts).items()}
    if rows:
        records = pa.Table.from_pylist([*rows.values()], schema=LOADS)
        write_deltalake(str(path), records, mode="append", configuration=None if open_table(path) else KEEP_LOG)


def stage_records(lake: Path, stage: Path, name: TableName, *, afresh: bool) -> None:
    """Give a staged lake the versions of contracts, and the readable quarantine of the table."""
    contracts = lake / "ops" / "contracts"
    if isinstance(contracts, S3Path):
        for one in contracts.rglob("*"):
            one.download(stage / "ops" / "contracts" / one.relative_to(contracts).as_posix())
    elif contracts.exists():
        shutil.copytree(contracts, stage / "ops" / "contracts")
    if not afresh:
        last = RawTable(stage, name).batch
        keep_rows(quarantine_path(lake, name), quarantine_path(stage, name), f"_batch <= {last}")


def missing_keys(lake: Path, stage: Path, contract: Contract) -> int:
    """Count the keys of rows in the table before, as far as they can be read, that the staged one does not have."""
    path = raw_path(lake, contract.name)
    table, _ = newest_readable(path)
    keys = ", ".join(f"cast({identifier(name)} as varchar) as {identifier(name)}" for name in contract.key)
    before = readable_rows(table, path, f"{keys}, _deleted", whole=False)
    after = relation_of(open_table(raw_path(stage, contract.name)))
    if before is None:
        return 0
    listed = contract.key_sql
    left = f" except select {keys} from {after}" if after else ""
    with duckdb.connect() as connection:
        sql = f"select count(*) from (select distinct {listed} from {before} where not _deleted{left})"
        return int(connection.execute(sql).fetchall()[0][0])
