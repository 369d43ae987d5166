"""Profiles of a release's tables: what they say, what they never say, and the history that they make."""

import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from flows.config.settings import PROJECT, DataFolder
from flows.core.files import FileState
from flows.warehouse.build import Build
from flows.warehouse.dbt import Dbt
from flows.warehouse.node_states import NodeState
from flows.warehouse.profile_history import HISTORY_DAYS, NEWEST_RELEASES, with_profiles
from flows.warehouse.profiles import BINS, profile_table

PERSON = "ada@example.com"


def node_of(name: str, meta: Mapping[str, Any] | None = None, **classes: Mapping[str, str]) -> SimpleNamespace:
    columns = {column: SimpleNamespace(config=SimpleNamespace(meta=of_column)) for column, of_column in classes.items()}
    config = SimpleNamespace(materialized="table", meta=meta or {}, event_time=None)
    return SimpleNamespace(
        name=name, alias=name, schema="core", unique_id=f"model.{name}", config=config, columns=columns
    )


class Warehouse:
    """A candidate with a table of orders, and its releases one after the other."""

    def __init__(self, place: Path) -> None:
        self.folder = DataFolder(place / "shop")
        self.folder.candidate.parent.mkdir(parents=True)
        orders = node_of("orders", email={"pii": "email"}, diagnosis={"phi": "diagnosis"}, country={"pii": "none"})
        nodes = [orders, node_of("table_profiles"), node_of("column_profiles")]
        manifest = SimpleNamespace(nodes={node.unique_id: node for node in nodes})
        self.dbt = Dbt(self.folder, manifest)  # type: ignore[arg-type]
        with self.connected() as candidate:
            candidate.execute("create schema core")
            for name in ("table_profiles", "column_profiles"):
                sql = (PROJECT / f"models/warehouse/observability/{name}.sql").read_text().partition("}}")[2]
                candidate.execute(f"create table core.{name} as {sql}")
            candidate.execute(
                "create table core.orders as select n as order_number, case when n % 4 = 0 then null else 'DE' end as "
                f"country, '{PERSON}' as email, 'J45' as diagnosis, 'free text ' || n as note, n % 3 = 0 as is_new, "
                "n / 2.0 as amount, if(n = 0, 'nan'::double, n) as score, [n] as parts, "
                "timestamp '2026-01-01' + to_days(n::integer) as ordered_at, "
                "if(n = 5, 'infinity'::timestamp, timestamp '2100-01-01') as valid_to from range(100) as numbers (n)"
            )

    def connected(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(str(self.folder.candidate))

    def publish(self, release: str, rows_hash: str) -> Build:
        state = NodeState("model.orders", "orders", "model", "code", {}, rows_hash, "success")
        built = Build((), "", FileState.of(self.folder.candidate), 0, "code", {"model.orders": state})
        return with_profiles(self.dbt, built, release)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with self.connected() as candidate:
            return candidate.execute(sql).fetchall()

    def profile(self, column: str) -> dict[str, Any]:
        with self.connected() as candidate:
            found = candidate.sql(f"from core.column_profiles where column_name = '{column}'").to_arrow_table()
        return dict(found.to_pylist()[-1])


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    warehouse = Warehouse(tmp_path_factory.mktemp("profiled"))
    warehouse.publish("2026-03-02.1", "one")
    return warehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path)


def test_a_table_has_its_rows_and_its_newest_event(profiled: Warehouse) -> None:
    """A time that is still to come, or has no end, is no event."""
    found = profiled.query("select release_name, row_count, newest_at from core.table_profiles")
    assert found == [("2026-03-02.1", 100, datetime(2026, 4, 10))]


def test_columns_have_nulls_distinct_values_and_distribution(profiled: Warehouse) -> None:
    country, amount = profiled.profile("country"), profiled.profile("amount")
    assert (country["null_count"], country["distinct_count"], country["minimum"]) == (25, 1, "DE")
    assert country["histogram"] == [{"label": "DE", "row_count": 75}]
    assert (amount["mean"], amount["quantiles"][2]) == pytest.approx((24.75, 24.75), abs=0.5)
    assert (amount["minimum"], amount["maximum"]) == ("0.0", "49.5")
    assert [(one["label"], one["row_count"]) for one in amount["histogram"][:2]] == [("0", 10), ("5", 10)]


def test_no_histogram_has_more_than_twelve_bins_and_each_has_every_row(profiled: Warehouse) -> None:
    found = profiled.query(
        "select column_name, len(histogram), list_sum([one.row_count for one in histogram]), row_count - null_count "
        "from core.column_profiles where histogram is not null"
    )
    assert {name for name, *_ in found} >= {"ordered_at", "valid_to", "score", "is_new", "order_number"}
    assert {name for name, bins, *_ in found if bins > BINS} == set()
    assert {name for name, _, binned, rows in found if binned + (name in ("score", "valid_to")) < rows} == set()


def test_personal_data_and_free_text_are_counted_and_never_shown(profiled: Warehouse) -> None:
    for column, distinct in (("email", 1), ("diagnosis", 1), ("note", 100), ("parts", 100)):
        profile = profiled.profile(column)
        assert (profile["row_count"], profile["null_count"], profile["distinct_count"]) == (100, 0, distinct)
        values = ("minimum", "maximum", "mean", "standard_deviation", "quantiles", "histogram")
        assert {profile[name] for name in values} == {None}
    written = str(profiled.query("from core.column_profiles"))
    assert "free text" not in written
    assert PERSON not in written
    assert "J45" not in written


def test_a_personal_column_is_found_however_its_letters_are_written() -> None:
    with duckdb.connect() as database:
        database.execute(f"create table people as select '{PERSON}' as email")
        (column,) = profile_table(database, ("main", "people"), ["Email"], now=datetime(2026, 3, 2)).columns
    assert (column["distinct_count"], column["minimum"]) == (1, None)


def test_a_table_with_the_same_rows_keeps_its_profile_and_is_not_read(warehouse: Warehouse) -> None:
    warehouse.publish("2026-03-02.1", "one")
    warehouse.query("delete from core.orders where order_number > 50")
    warehouse.publish("2026-03-02.2", "one")  # its hash says that nothing has changed
    warehouse.publish("2026-03-02.10", "two")
    warehouse.publish("2026-03-02.11", "two")
    found = warehouse.query("select release_name, row_count from core.table_profiles order by profiled_at")
    assert found == [("2026-03-02.1", 100), ("2026-03-02.2", 100), ("2026-03-02.10", 51), ("2026-03-02.11", 51)]
    assert warehouse.query("select count(distinct release_name), count(*) from core.column_profiles") == [(4, 44)]


def test_the_build_goes_on_with_the_file_that_holds_the_profiles(warehouse: Warehouse) -> None:
    built = warehouse.publish("2026-03-02.1", "one")
    assert built.file == FileState.of(warehouse.folder.candidate)
    assert not warehouse.folder.candidate.with_name(f"{warehouse.folder.candidate.name}.wal").exists()


def test_a_candidate_that_was_changed_after_its_tests_stays_refused(warehouse: Warehouse) -> None:
    built = Build((), "", FileState(0, 0, 0), 0, "code")
    assert with_profiles(warehouse.dbt, built, "2026-03-02.1").file != FileState.of(warehouse.folder.candidate)
    assert warehouse.query("from core.table_profiles") == []


def test_old_days_keep_their_last_release_and_leave_in_the_end(warehouse: Warehouse) -> None:
    warehouse.query(
        "insert into core.table_profiles by name select strftime(date '2026-03-01' - day::integer, '%Y-%m-%d') || '.' "
        "|| number as release_name, 'core' as table_schema, 'orders' as table_name, timestamp '2026-01-01' as "
        "profiled_at from range(200) as days (day), range(1, 13) as numbers (number)"
    )
    warehouse.publish("2026-03-02.1", "one")
    found = warehouse.query(
        "select left(release_name, 10) as day, list_sort(list(substr(release_name, 12)::int)) "
        "from core.table_profiles group by day order by day desc"
    )
    assert len(found) == HISTORY_DAYS
    assert found[1][1] == list(range(1, 13))
    assert len(found[2][1]) == NEWEST_RELEASES - 13
    assert {tuple(numbers) for _, numbers in found[3:]} == {(12,)}


@pytest.mark.parametrize(
    ("sql", "bars"),
    [
        ("[cast(n as decimal(9, 2))]", None),
        ("[cast('a' as enum ('a', 'b'))]", None),
        ("[[cast(n as decimal(9, 2))]]", None),
        ("1e300 * n", 8),
        ("cast(1e37 * (n % 33) as float)", 7),
        ("cast('nan' as double)", None),
        ("if(n % 18 = 0, 1e308, if(n % 18 = 1, -1e308, n % 18))", None),
        ("if(n % 2 = 0, 1.7e308, -1.7e308) * (1 - n / 1e4)", None),
        ("'infinity'::timestamp", None),
        ("'-infinity'::date", None),
        ("date '0044-03-15 (BC)'", 1),
        ("date '5000000-01-01' + cast(n as integer)", None),
        ("timestamptz '2026-01-01 00:00:00+00'", 1),
    ],
)
def test_no_type_or_extreme_stops_a_release(warehouse: Warehouse, sql: str, bars: int | None) -> None:
    """A profile that fails would fail the publishing of a release that passed all its tests."""
    warehouse.query(f"create or replace table core.orders as select {sql} as odd from range(40) as numbers (n)")
    warehouse.publish("2026-03-02.1", "one")
    profile = warehouse.profile("odd")
    assert (profile["row_count"], profile["null_count"]) == (40, 0)
    assert (None if profile["histogram"] is None else len(profile["histogram"])) == bars


def test_the_newest_event_is_in_utc_wherever_the_machine_is(warehouse: Warehouse) -> None:
    """DuckDB begins with the zone of the machine."""
    warehouse.query("create or replace table core.orders as select timestamptz '2026-01-01 12:00:00+00' as sold_at")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TZ", "Australia/Sydney")
        time.tzset()
        warehouse.publish("2026-03-02.1", "one")
    time.tzset()
    assert warehouse.query("select newest_at from core.table_profiles") == [(datetime(2026, 1, 1, 12),)]
    assert warehouse.profile("sold_at")["minimum"] == "2026-01-01 12:00:00+00"


def test_a_class_of_personal_data_holds_for_a_column_in_other_letters(warehouse: Warehouse) -> None:
    """Names of columns in SQL differ by case from those in YAML, and are the same columns."""
    warehouse.query(f"create or replace table core.orders as select '{PERSON}' as \"Email\" from range(5)")
    warehouse.publish("2026-03-02.1", "one")
    assert PERSON not in str(warehouse.query("from core.column_profiles"))
