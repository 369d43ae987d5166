"""Runs and loads with their counts, failed ones too, in Delta tables that outlive every release."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from flows.config.settings import DataFolder
from flows.core.clock import utc_now
from flows.core.errors import StorageFailed
from flows.core.names import TableName
from flows.lake.counts import Counts
from flows.lake.delta import append_row, open_table, query, relation_of

COUNTED = tuple(count.name for count in fields(Counts))
LOADS = pa.schema(
    [
        ("load_id", pa.string()),
        ("run_id", pa.string()),
        ("table_name", pa.string()),
        ("started_at", pa.timestamp("us")),
        ("seconds", pa.float64()),
        ("outcome", pa.string()),
        ("error", pa.string()),
        *((name, pa.int64()) for name in COUNTED),
        ("batch", pa.int64()),
        ("standing_notes", pa.list_(pa.string())),
        ("nulls", pa.map_(pa.string(), pa.int64())),
        ("newest_at", pa.timestamp("us")),
    ]
)
RUNS = pa.schema(
    [
        ("run_id", pa.string()),
        ("started_at", pa.timestamp("us")),
        ("ended_at", pa.timestamp("us")),
        ("outcome", pa.string()),
        ("release", pa.string()),
        ("error", pa.string()),
        ("is_whole", pa.bool_()),
        ("held_back", pa.list_(pa.string())),
    ]
)
RELEASES = pa.schema(
    [
        ("release", pa.string()),
        ("named_at", pa.timestamp("us")),
        ("made_of", pa.string()),
        ("rolled_back_from", pa.string()),
    ]
)


@dataclass(frozen=True)
class LoadRecord:
    """A load as it is recorded; `error` is None if it was completed.

    `standing_notes` are what stays true of the source until it changes; None if the load mapped no record. `nulls`
    counts them in the accepted rows, by column that has some. `newest_at` is the newest event of these rows, in UTC;
    None if they have no time of an event that is not personal data.
    """

    load_id: str
    run_id: str
    table_name: str
    started_at: datetime
    seconds: float
    counts: Counts
    batch: int
    error: str | None
    standing_notes: tuple[str, ...] | None = None
    nulls: Mapping[str, int] = field(default_factory=dict)
    newest_at: datetime | None = None


def record_load(lake: Path, load: LoadRecord) -> None:
    """Record a load."""
    outcome = "completed" if load.error is None else "failed"
    row = vars(load) | vars(load.counts) | {"outcome": outcome, "nulls": list(load.nulls.items())}
    append_row(lake / "ops" / "loads", row, LOADS)


@dataclass(frozen=True)
class EarlierLoads:
    """The records of earlier loads of a table.

    `standing_notes` are those that the last completed load that mapped records told of the source. `tries` are the
    counts that failed tries of the same run had committed before they failed.
    """

    standing_notes: tuple[str, ...] = ()
    tries: Counts = field(default_factory=Counts)


def earlier_loads(lake: Path, run_id: str, table: TableName) -> EarlierLoads:
    """Return the records of the loads before this one, in one read of their table."""
    loads = open_table(lake / "ops" / "loads")
    present = {column.name for column in loads.schema().fields} if loads is not None else set()
    notes = "standing_notes" if "standing_notes" in present else "null::varchar[]"
    tries = "outcome = 'failed' and run_id = $1"
    sums = ", ".join(
        f"coalesce(cast(sum({name if name in present else 0}) filter ({tries}) as bigint), 0)" for name in COUNTED
    )
    told = f"{notes} is not null and outcome = 'completed'"
    sql = f"select max_by({notes}, started_at) filter ({told}), {sums} from {{table}} where table_name = $2"
    for standing, *counts in query(loads, sql, [run_id, str(table)]):
        return EarlierLoads(tuple(standing or ()), Counts(*counts))
    return EarlierLoads()


def record_run(
    lake: Path,
    *,
    run_id: str,
    started_at: datetime,
    ended_at: datetime,
    release: str | None,
    error: str | None,
    is_whole: bool = True,
    held_back: Collection[str] = (),
) -> None:
    """Record a run; `error` is None if it was completed. A run of a selection is not whole: it publishes nothing.

    `held_back` are the sources and tables whose failures held back what depends on them, if the rest is up to date.
    """
    row = {
        "run_id": run_id,
        "started_at": started_at,
        "ended_at": ended_at,
        "outcome": "completed" if error is None else "held back" if held_back else "failed",
        "release": release,
        "error": error,
        "is_whole": is_whole,
        "held_back": sorted(held_back),
    }
    append_row(lake / "ops" / "runs", row, RUNS)


def newest_runs(lake: Path) -> dict[frozenset[str], datetime]:
    """Return when the newest whole run ended, in UTC, by the sources and tables whose failures it held back.

    A run that was completed held back none. One that failed is not among them: nothing is as new as such a run.
    """
    runs = open_table(lake / "ops" / "runs")
    present = {column.name for column in runs.schema().fields} if runs is not None else set()
    # an earlier version wrote neither column
    whole = "coalesce(is_whole, true)" if "is_whole" in present else "true"
    held = "coalesce(held_back, [])" if "held_back" in present else "[]::varchar[]"
    sql = (
        f"select {held}, max(ended_at) from {{table}} where outcome in ('completed', 'held back') and {whole} "
        "group by all"
    )
    return {frozenset(names): ended_at for names, ended_at in query(runs, sql)}


def record_release(lake: Path, name: str, made_of: str | None = None) -> None:
    """Record that a name is taken by a release, and what that is made of, before it is published."""
    row = {"release": name, "named_at": utc_now(), "made_of": made_of, "rolled_back_from": None}
    append_row(lake / "ops" / "releases", row, RELEASES)


def record_rollback(lake: Path, name: str, left: str) -> None:
    """Record that readers go back to a release from another one, before they do."""
    row = {"release": name, "named_at": utc_now(), "made_of": None, "rolled_back_from": left}
    append_row(lake / "ops" / "releases", row, RELEASES)


def made_of_releases(lake: Path) -> dict[str, str]:
    """Return what each release that was ever published is made of, as it was recorded, by the release's name."""
    sql = "select release, max(made_of) from {table} where made_of is not null group by all"
    return dict(_of_releases(lake, "made_of", sql))


def last_rollback(lake: Path) -> tuple[str, str, datetime] | None:
    """Return the release that readers were last sent back to, the one they left and when, in UTC; None if none was."""
    sql = "select release, rolled_back_from, named_at from {table} where rolled_back_from is not null order by 3 desc"
    return next(iter(_of_releases(lake, "rolled_back_from", sql)), None)


def _of_releases(lake: Path, column: str, sql: str) -> list[tuple[Any, ...]]:
    """Query the records of releases; those of an earlier version of this project lack some columns."""
    table = open_table(lake / "ops" / "releases")
    present = {field.name for field in table.schema().fields} if table is not None else set()
    return query(table, sql) if column in present else []


def used_release_names(lake: Path) -> set[str]:
    """Return every name that a release ever had, whether or not the release is still there."""
    names = query(open_table(lake / "ops" / "releases"), "select release from {table}")
    runs = query(open_table(lake / "ops" / "runs"), "select release from {table} where release is not null")
    return {name for (name,) in [*names, *runs]}


def loads_since(lake: Path, first: datetime) -> pa.Table:
    """Return the records of the loads that started at a time or later; an earlier version recorded fewer columns."""
    relation = relation_of(open_table(lake / "ops" / "loads"))
    if relation is None:
        return LOADS.empty_table()
    with duckdb.connect() as connection:
        return connection.sql(f"from {relation} where started_at >= $1", params=[first]).to_arrow_table()


def was_loaded(lake: Path, table: TableName) -> bool:
    """Tell whether a load of the table was ever completed; until then its rows are a backfill."""
    sql = "select 1 from {table} where table_name = $1 and outcome = 'completed' limit 1"
    return bool(query(open_table(lake / "ops" / "loads"), sql, [str(table)]))


def require_lake(folder: DataFolder) -> None:
    """Refuse to begin a new lake while a release exists that was made of another: its volume may be missing."""
    if folder.warehouse.exists() and not (folder.lake / "ops").is_dir():
        raise StorageFailed(
            str(folder.lake),
            "the lake is not there, and the published release was made of one",
            f"Mount it, or say where it is: ML_WAREHOUSE_LAKE. To begin without it, move {folder.warehouse} away.",
        )


def newest_loads(lake: Path, until: datetime) -> dict[str, datetime]:
    """Return when the last completed load of each table up to a time started, in UTC, by the table's name."""
    sql = (
        "select table_name, max(started_at) from {table} where outcome = 'completed' and started_at <= $1 "
        "group by table_name"
    )
    return dict(query(open_table(lake / "ops" / "loads"), sql, [until]))
