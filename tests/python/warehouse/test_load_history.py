"""The history of loads in a release: each load once, failed ones too, and of an earlier version what there is."""

from collections import Counter
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from flows.config.settings import PROJECT, DataFolder
from flows.core.clock import utc_now
from flows.core.files import FileState
from flows.lake.counts import Counts
from flows.lake.delta import write_deltalake
from flows.lake.ops import LOADS, LoadRecord, loads_since, record_load
from flows.warehouse.build import Build
from flows.warehouse.dbt import Dbt
from flows.warehouse.load_history import with_loads
from flows.warehouse.profile_history import HISTORY_DAYS

NOW = utc_now()


class Warehouse:
    """A candidate that holds nothing but the empty model, and a lake."""

    def __init__(self, place: Path) -> None:
        self.folder = DataFolder(place / "shop")
        self.folder.candidate.parent.mkdir(parents=True)
        node = SimpleNamespace(name="load_profiles", alias="load_profiles", schema="core")
        self.dbt = Dbt(self.folder, SimpleNamespace(nodes={"model.load_profiles": node}))  # type: ignore[arg-type]
        sql = (PROJECT / "models/warehouse/observability/load_profiles.sql").read_text().partition("}}")[2]
        with self.connected() as candidate:
            candidate.execute(f"create schema core; create table core.load_profiles as {sql}")

    def connected(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(str(self.folder.candidate))

    def load(self, load_id: str, started_at: datetime = NOW, error: str | None = None) -> None:
        """Record a load of five records, of which three were accepted."""
        counts, nulls = Counts(read=5, accepted=3, quarantined=1, known=1), Counter({"city": 2})
        record = load_id, "a-run", "crm.customers", started_at, 1.5, counts, 1, error
        record_load(self.folder.lake, LoadRecord(*record, nulls=nulls, newest_at=NOW))

    def publish(self) -> Build:
        built = Build((), "", FileState.of(self.folder.candidate), 0, "code")
        return with_loads(self.dbt, built, partial(loads_since, self.folder.lake))

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with self.connected() as candidate:
            return candidate.execute(sql).fetchall()


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path)


def test_a_release_adds_the_loads_since_the_one_before(warehouse: Warehouse) -> None:
    # Given a release after one load
    warehouse.load("one")
    built = warehouse.publish()
    assert built.file == FileState.of(warehouse.folder.candidate)

    # When the next one follows a load that failed and one that was completed
    warehouse.load("two", NOW + timedelta(minutes=1), error="broken off")
    warehouse.load("three", NOW + timedelta(minutes=2))
    warehouse.publish()

    # Then each load is there once, with its outcome, its counts, its nulls and its newest event
    assert warehouse.query(
        "select load_id, outcome, read_count, accepted_count, quarantined_count, known_count, duplicate_count, "
        "null_counts, newest_at from core.load_profiles order by started_at"
    ) == [
        (name, outcome, 5, 3, 1, 1, 0, {"city": 2}, NOW)
        for name, outcome in (("one", "completed"), ("two", "failed"), ("three", "completed"))
    ]


def test_loads_that_are_too_old_are_left_out_and_deleted(warehouse: Warehouse) -> None:
    warehouse.load("old", NOW - timedelta(days=HISTORY_DAYS + 1))
    warehouse.load("new")
    warehouse.publish()
    assert warehouse.query("select load_id from core.load_profiles") == [("new",)]

    with warehouse.connected() as candidate:
        candidate.execute("update core.load_profiles set started_at = started_at - to_days(?)", [HISTORY_DAYS + 1])
    warehouse.load("newer")
    warehouse.publish()
    assert warehouse.query("select load_id from core.load_profiles order by 1") == [("new",), ("newer",)]
    assert warehouse.query(
        "select count(*) from core.load_profiles where started_at < now()::timestamp - to_days(1)"
    ) == [(0,)]


def test_loads_that_an_earlier_version_recorded_lack_what_it_did_not_count(warehouse: Warehouse) -> None:
    warehouse.load("one")
    path = warehouse.folder.lake / "ops" / "loads"
    with duckdb.connect() as connection:
        rows = connection.sql(f"select * exclude (nulls, newest_at) from '{path}/*.parquet'").to_arrow_table()
    write_deltalake(str(path), rows, mode="overwrite", schema_mode="overwrite")
    warehouse.publish()
    assert warehouse.query("select load_id, null_counts, newest_at from core.load_profiles") == [("one", None, None)]


def test_without_a_load_nothing_is_added_and_a_changed_candidate_stays(warehouse: Warehouse) -> None:
    warehouse.publish()
    assert warehouse.query("from core.load_profiles") == []
    built = Build((), "", FileState(0, 0, 0), 0, "code")
    warehouse.load("one")
    assert with_loads(warehouse.dbt, built, partial(loads_since, warehouse.folder.lake)) is built
    assert warehouse.query("from core.load_profiles") == []


def test_the_model_has_every_count_of_the_record(warehouse: Warehouse) -> None:
    warehouse.load("one")
    warehouse.publish()
    (columns,) = warehouse.query("select list(column_name) from (describe core.load_profiles)")
    left_out = {"error", "batch", "standing_notes"}  # texts that may be long, and numbers of the lake
    assert len(columns[0]) == len(set(LOADS.names) - left_out)
