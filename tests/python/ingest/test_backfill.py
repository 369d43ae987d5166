"""A backfill reads the records of some days again: what came too late, and what was changed without a new time."""

import json
import sqlite3
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from support.kills import Child, Point
from support.rest_api import Asked, Serve, page
from support.shop import ORDERS, Shop

from flows.config.connections import TableMapping, read_connections
from flows.core.errors import UsageError
from flows.core.names import TableName
from flows.ingest.backfill import backfill_table, tables_to_backfill
from flows.ingest.batch import check_batch
from flows.ingest.load import LoadResult
from flows.lake.overlay import overlay_lake
from flows.lake.raw import RawTable
from flows.lake.reconcile import require_reconciliation
from flows.sources.interval import Interval, watermark_before
from flows.sources.watermark import DAY, from_watermark, to_watermark

pytest_plugins = ["support.rest_fixtures"]

FIFTH = Interval(date(2026, 1, 5), date(2026, 1, 6), "UTC")
EARLY = ("1", "ann", 1, "1.50", "2026-01-05 10:00:00")
ON_TIME = [EARLY, ("2", "bo", 1, "1.50", "2026-01-05 11:00:00"), ("3", "cy", 1, "1.50", "2026-02-01 09:00:00")]
LATE = ("4", "di", 1, "1.50", "2026-01-05 23:59:59")


def backfilled(shop: Shop, interval: Interval = FIFTH, lake: Path | None = None) -> LoadResult:
    """Backfill the table, and check that no record is lost or counted twice."""
    lake = lake or shop.lake
    done = backfill_table(shop.read_connection(), shop.contract, lake, run_id="a-backfill", interval=interval)
    require_reconciliation(lake, {shop.name: (done.load_id, done.counts)})
    return done


@pytest.fixture
def database(shop: Shop, tmp_path: Path) -> sqlite3.Connection:
    """A database of orders that were loaded, and an order of the fifth that was committed late."""
    file = tmp_path / "shop.sqlite"
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute(f"create table orders ({', '.join(ORDERS)})")
    connection.executemany("insert into orders values (?, ?, ?, ?, ?)", ON_TIME)
    shop.connect(f"sqlite:///{file}")
    shop.map(time_zone="UTC")
    shop.load()
    connection.execute("insert into orders values (?, ?, ?, ?, ?)", LATE)
    assert shop.load().counts.accepted == 0
    return connection


def test_what_was_committed_late_or_changed_is_stored_and_known_from_now_on(
    shop: Shop, database: sqlite3.Connection
) -> None:
    # Given an order that loads have overlooked, and another that was changed without a new time
    database.execute("update orders set quantity = 7 where order_id = '2'")
    before = RawTable(shop.lake, shop.name)
    started = datetime.now(UTC).replace(tzinfo=None)

    # When its day is read again
    done = backfilled(shop)

    # Then both are rows of their own, the unchanged one is known, and the one of another day is not read
    assert (done.counts.read, done.counts.accepted, done.counts.known) == (3, 2, 1)
    assert shop.rows("order_id", "quantity") == [("1", 1), ("2", 1), ("3", 1), ("2", 7), ("4", 1)]

    # And they are known from their load on: as-of features of earlier times do not see them
    (arrival,) = set(shop.rows("_loaded_at", "_is_backfill", where=f"_batch = {done.batch}"))
    assert arrival[0] >= started
    assert arrival[1] is False

    # And the next load continues where the one before had ended
    assert RawTable(shop.lake, shop.name).last_commit()["watermark"] == before.last_commit()["watermark"]
    assert shop.load().counts.accepted == 0

    # And the same backfill once more changes no row
    rows = RawTable(shop.lake, shop.name).rows_state
    again = backfilled(shop)
    assert (again.counts.accepted, again.counts.known) == (0, 3)
    assert RawTable(shop.lake, shop.name).rows_state == rows


def test_a_database_is_read_no_further_than_the_interval_and_its_watermark_stays(
    shop: Shop, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given further orders of February, which were loaded, and batches of one row
    later = [(str(n), "eve", 1, "1.50", f"2026-02-{n} 09:00:00") for n in range(10, 20)]
    database.executemany("insert into orders values (?, ?, ?, ?, ?)", later)
    shop.load()
    watermark = RawTable(shop.lake, shop.name).last_commit()["watermark"]
    monkeypatch.setattr("flows.sources.sql.pieces.ROWS_A_FETCH", 1)
    monkeypatch.setattr("flows.sources.arrow_batches.ROWS_A_BATCH", 1)
    read: list[int] = []
    monkeypatch.setattr("flows.ingest.backfill.check_batch", lambda *a, **b: read.append(1) or check_batch(*a, **b))

    # When a day is read again, then reading ends with the first order after it
    assert backfilled(shop).counts.accepted == 1
    assert len(read) == 4

    # And the next load continues where the one before had ended
    assert RawTable(shop.lake, shop.name).last_commit()["watermark"] == watermark
    assert shop.load().counts.accepted == 0


def test_days_are_those_of_the_sets_time_zone(shop: Shop, database: sqlite3.Connection) -> None:
    # Given an order of one second to midnight in UTC, which is the sixth in Berlin
    # When the fifth of Berlin is read again, then the order is not in it, and in the sixth it is
    assert backfilled(shop, Interval(date(2026, 1, 5), date(2026, 1, 6), "Europe/Berlin")).counts.accepted == 0
    assert backfilled(shop, Interval(date(2026, 1, 6), date(2026, 1, 7), "Europe/Berlin")).counts.accepted == 1


def test_what_breaks_the_contract_waits_in_quarantine(shop: Shop, database: sqlite3.Connection) -> None:
    # Given two late orders of the fifth, one of which breaks the contract
    database.execute("insert into orders values ('5', 'eve', 'many', '1.50', '2026-01-05 12:00:00')")

    # When the day is read again
    done = backfilled(shop)

    # Then that one is in quarantine, and in the second backfill it is known
    assert (done.counts.accepted, done.counts.quarantined) == (1, 1)
    assert [reasons for _, reasons in shop.quarantine()] != []
    assert backfilled(shop).counts.quarantined == 0


def test_a_trial_in_an_overlay_leaves_the_lake_as_it_is(
    shop: Shop, database: sqlite3.Connection, tmp_path: Path
) -> None:
    # Given an overlay of the lake, which has copies of snapshots, too
    write_deltalake(shop.lake / "ops" / "snapshots" / "history.segments", pa.table({"release": ["1"]}))
    files = {path: path.read_bytes() for path in shop.lake.rglob("*") if path.is_file()}
    overlay = tmp_path / "overlay"
    overlay_lake(shop.lake, overlay, [shop.name])

    # When a day is read again there
    done = backfilled(shop, lake=overlay)

    # Then the overlay has the row, and the lake has not
    assert done.counts.accepted == 1
    assert RawTable(overlay, shop.name).stored_rows() == 4
    write_deltalake(overlay / "ops" / "snapshots" / "history.segments", pa.table({"release": ["2"]}), mode="append")
    assert {path: path.read_bytes() for path in shop.lake.rglob("*") if path.is_file()} == files


def test_an_api_and_files_are_asked_as_far_as_they_can_be(shop: Shop, serve: Serve) -> None:
    # Given an API that takes the time from which to list records
    orders = [dict(zip(ORDERS, row, strict=True)) for row in ON_TIME]
    asked: list[str] = []

    def answer(request: Asked) -> Any:
        since = request.params.get("since", "")
        asked.append(since)
        return page([one for one in orders if str(one["updated_at"]) >= since])

    api = serve(answer)
    shop.connect(api.url)
    shop.map(**{"from": "/orders", "records": "data", "since": "since"})
    shop.load()
    orders.append(dict(zip(ORDERS, LATE, strict=True)))
    assert shop.load().counts.accepted == 0

    # When a day is read again, then the API is asked from a day before it, and the order is stored
    assert backfilled(shop).counts.accepted == 1
    assert asked[-1] == "2026-01-04 00:00:00"

    # And files are read again whatever is known of them, without being taken for files that a load has read
    shop.connect(f"file:{shop.exports}")
    shop.map(**{"from": "*.jsonl"})
    shop.drop_rows("1.jsonl", [*orders, {**orders[0], "order_id": "9"}])
    shop.load()
    shop.drop_rows("2.jsonl", [{**orders[0], "order_id": "10"}, {**orders[2], "order_id": "11"}])
    found = backfilled(shop)
    assert (found.counts.accepted, found.counts.known) == (1, 4)
    assert shop.load().counts.accepted == 1


@pytest.mark.parametrize(
    "step",
    ["quarantine", "commit", *(pytest.param(one, marks=pytest.mark.proof) for one in ("extract", "record_load"))],
)
def test_a_backfill_that_was_killed_is_completed_by_the_next_one(
    shop: Shop, database: sqlite3.Connection, step: str
) -> None:
    # Given a late order, another that breaks the contract, and a backfill that died after a step
    database.execute("insert into orders values ('5', 'eve', 'many', '1.50', '2026-01-05 12:00:00')")
    call = (shop.read_connection(), shop.contract, shop.lake)
    child = Child("flows.ingest.backfill:backfill_table", call, {"run_id": "a-backfill", "interval": FIFTH})
    ended = child.run(Point(step, "after"))
    assert ended.was_killed, ended.error

    # When a load and the backfill come after it
    shop.load()
    backfilled(shop)

    # Then each record is there once, and a further load finds nothing new
    assert shop.rows("order_id") == ["1", "2", "3", "4"]
    assert len(shop.quarantine()) == 1
    assert shop.load().counts.accepted == 0


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (to_watermark(datetime(2026, 2, 1, 9)), datetime(2026, 1, 4)),
        (to_watermark(datetime(2026, 2, 1, 9, tzinfo=UTC)), datetime(2026, 1, 3, 23, tzinfo=UTC)),
        (to_watermark(date(2026, 2, 1)), date(2026, 1, 4)),
        (to_watermark("2026-02-01T09:00:00.000+0100"), "2026-01-04T00:00:00.000+0100"),
        (to_watermark("2026-02-01T09:00Z"), "2026-01-03T23:00Z"),
        (to_watermark("2026-01-02 09:00"), "2026-01-01 09:00"),  # it was never read beyond that
        (to_watermark(17), None),
        (to_watermark("B-17"), None),
    ],
)
def test_an_interval_is_asked_for_in_the_form_of_the_sources_own_times(stored: str, expected: Any) -> None:
    mapping = TableMapping.model_construct(time_zone="Europe/Berlin", since_format=None)
    interval = Interval(date(2026, 1, 5), date(2026, 1, 6), "Europe/Berlin")
    begin = watermark_before(stored, interval, mapping)
    assert (None if begin is None else from_watermark(begin, DAY)) == expected


def test_a_table_that_cannot_be_asked_says_why(shop: Shop, database: sqlite3.Connection) -> None:
    def asked(*selected: str) -> Any:
        shop.read_connection()
        sources = read_connections(shop.connections_file)
        return tables_to_backfill(sources, {shop.name: shop.contract}, selected)

    assert asked() == ([TableName("sales", "orders")], [])
    with pytest.raises(UsageError, match=r"Did you mean sales\.orders\?"):
        asked("sales.order")
    shop.map(where="true")
    with pytest.raises(UsageError, match="has changed since its last load"):
        asked("sales.orders")
    shop.map(time_zone="UTC", load="full")
    with pytest.raises(UsageError, match="No table of the set test can be asked"):
        asked()


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (("2026-01-05", "2026-01-05"), "is not before"),
        (("2026-01-06", "2026-01-05"), "is not before"),
        (("2026-01-05T00:00+02:00", "2026-01-06"), "is no day"),
        (("5.1.2026", "2026-01-06"), "is no day"),
        (("0001-01-01", "2026-01-06"), "is no day"),
    ],
)
def test_what_is_no_interval_is_refused(days: tuple[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Interval.parse(*days, "Europe/Berlin")
    with pytest.raises(UsageError, match="is no time zone"):
        Interval.parse("2026-01-05", "2026-01-06", "Europe/Berlim")
    assert json.dumps(str(FIFTH)) == '"2026-01-05 to 2026-01-06 (UTC)"'
