"""Triggers of the warehouse: each change of a segment leaves user, time, old and new value."""

import shutil
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from support.lake_by_hand import Lake, Warehouse

from flows.lake.snapshot_backup import keep_snapshots, restore_snapshots
from flows.warehouse.release_format import create_database

pytest_plugins = ["support.warehouse_fixtures"]

NOON = datetime(2026, 3, 1, 12)
TRAIL = "select customer_id, old_segment, new_segment, changed_by from history.segment_changes order by change_number"
NOW = "select customer_id, segment from marketing.customer_segments_current order by all"
KEPT = [("marketing", "customer_segments_current"), ("history", "segment_changes")]
ONLY = ("--select", "+customer_segments_current")


def buying(customer: str, number: int) -> dict[str, list[dict[str, object]]]:
    """Return an order of a customer with one line."""
    order = {"order_id": f"O{number}", "customer_id": customer, "ordered_at": NOON, "currency": "EUR"}
    line = {"order_id": f"O{number}", "line_number": 1, "product_id": "P1", "quantity": 1, "unit_price": 5}
    return {"sales__orders": [order], "sales__order_lines": [line]}


@pytest.fixture
def lake() -> Lake:
    lake = Lake()
    customers = [{"customer_id": f"C{number}", "updated_at": NOON} for number in (1, 2)]
    lake.load(NOON, crm__customers=customers, **buying("C1", 1))
    return lake


def who(trail: list[tuple[str, ...]]) -> list[str]:
    """Return the users of the changes; of a build, the first word."""
    return [changed_by.split(" ")[0] for *_, changed_by in trail]


def test_every_change_leaves_a_trace(lake: Lake, incremental: Warehouse, tmp_path: Path) -> None:
    # Given a first build, which is no change
    incremental.build(lake, *ONLY)
    assert incremental.rows(NOW) == [("C1", "new"), ("C2", "prospect")]
    assert incremental.rows(TRAIL) == []

    # When a customer buys for the first time, another is new, and a build is run twice
    lake.load(NOON, crm__customers=[{"customer_id": "C3", "updated_at": NOON}], **buying("C2", 2))
    incremental.build(lake, *ONLY)
    incremental.build(lake, *ONLY)

    # Then both are recorded once, with the name of the build
    changes = incremental.rows(TRAIL)
    assert [change[:3] for change in changes] == [("C2", "prospect", "new"), ("C3", None, "prospect")]
    assert who(changes) == ["dbt", "dbt"]

    # And when a user changes, removes or renames a row by hand, in a copy of the file
    copy = tmp_path / "a copy under another name.duckdb"
    shutil.copy(incremental.path, copy)
    with duckdb.connect(str(copy)) as by_hand:
        by_hand.execute("update marketing.customer_segments_current set segment = 'vip' where customer_id = 'C1'")
        by_hand.execute("set variable changed_by = 'Ann'")
        by_hand.execute("begin; update marketing.customer_segments_current set segment = 'new' where segment = 'vip'")
        by_hand.execute("delete from marketing.customer_segments_current where customer_id = 'C1'; commit")
        by_hand.execute("update marketing.customer_segments_current set segment = segment")
        noted = by_hand.execute(TRAIL).fetchall()[2:]

    # Then each change is recorded in its order, with the user's name, and an update without a change is not
    assert noted == [("C1", "new", "vip", "duckdb"), ("C1", "vip", "new", "Ann"), ("C1", "new", None, "Ann")]


def test_a_build_records_its_changes_in_the_format_of_releases_too(lake: Lake, incremental: Warehouse) -> None:
    # Given a file in the format of releases, which holds no triggers, and a first build, which is no change
    create_database(incremental.path)
    incremental.build(lake, *ONLY)
    assert incremental.rows(TRAIL) == []

    # When a customer buys for the first time, another is new, a third is gone, and a build is run twice
    lake.load(
        NOON,
        crm__customers=[{"customer_id": "C3", "updated_at": NOON}, {"customer_id": "C1", "_deleted": True}],
        **buying("C2", 2),
    )
    incremental.build(lake, *ONLY)
    incremental.build(lake, *ONLY)

    # Then each is recorded once, with the name of the build, and the file has neither triggers nor leftovers
    changes = incremental.rows(TRAIL)
    moves = [("C1", "new", None), ("C2", "prospect", "new"), ("C3", None, "prospect")]
    assert [change[:3] for change in changes] == moves
    assert who(changes) == ["dbt", "dbt", "dbt"]
    assert incremental.rows("select count(*) from duckdb_triggers()") == [(0,)]
    assert incremental.rows("select table_name from duckdb_tables() where table_name like '%before'") == []


@pytest.mark.slow
def test_a_full_refresh_keeps_the_trail_and_notes_what_it_changes(
    lake: Lake, incremental: Warehouse, full: Warehouse
) -> None:
    # Given a trail, and a segment that was set by hand
    incremental.build(lake, *ONLY)
    with incremental.connect() as by_hand:
        by_hand.execute("update marketing.customer_segments_current set segment = 'vip' where customer_id = 'C1'")
    trail = [("C1", "new", "vip", "duckdb"), ("C1", "vip", "new")]

    # When all is built again in the same file, then the trail is kept, and records that the segment was reset
    keep_snapshots(full.folder / "lake", incremental.path, KEPT, "2026-03-02.1")
    incremental.build(lake, *ONLY, "--full-refresh")
    assert [change[:3] for change in incremental.rows(TRAIL)] == [trail[0][:3], trail[1]]

    # And the same holds when the file is lost, and the lake restores the trail
    assert set(restore_snapshots(full.folder / "lake", full.path, KEPT)) == {name for _, name in KEPT}
    full.build(lake, *ONLY, "--full-refresh")
    assert [change[:3] for change in full.rows(TRAIL)] == [trail[0][:3], trail[1]]
    assert who(full.rows(TRAIL)) == ["duckdb", "dbt"]
    assert full.rows(NOW) == [("C1", "new"), ("C2", "prospect")]


@pytest.mark.slow
def test_an_empty_build_is_no_change(lake: Lake, incremental: Warehouse) -> None:
    incremental.build(lake, *ONLY)
    incremental.build(lake, *ONLY, "--empty")
    assert incremental.rows(TRAIL) == []
    assert len(incremental.rows(NOW)) == 2
