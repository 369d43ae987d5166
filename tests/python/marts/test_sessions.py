"""Sessions do not depend on the order of arrival, within the allowed lateness; later events are reported."""

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from support.lake_by_hand import SEEDS, Lake, Row, Warehouse

pytest_plugins = ["support.warehouse_fixtures"]

NOON = datetime(2026, 3, 1, 12)
ONLY = ("--select", "+fct_sessions")
SESSIONS = "select visitor_id, started_at, ended_at, event_count from core.fct_sessions order by all"
LATE = "fct_web_events__events_are_within_lateness"


def event(name: str, minute: float, visitor: str = "V1", **given: Any) -> Row:
    """Return an event some minutes after noon."""
    at = NOON + timedelta(minutes=minute)
    return {"event_id": name, "visitor_id": visitor, "event_type": "page_view", "occurred_at": at, **given}


class Chance:
    """Visitors whose events arrive in any order, repeated or late, from a lake that may be rewritten."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lake = Lake()
        self.clock = NOON

    def load(self) -> None:
        """Add a batch of events, customers or both; sometimes remove a part of the earlier ones."""
        self.clock += timedelta(hours=self.random.randint(-30, 60))
        tables = {"web__events": self.event, "crm__customers": self.customer}
        chosen = self.random.sample(list(tables), self.random.randint(1, 2))
        self.lake.load(
            self.clock, **{table: [tables[table]() for _ in range(self.random.randint(1, 30))] for table in chosen}
        )
        if self.random.random() < 0.2:
            name = self.random.choice(list(self.lake.arrived))
            self.lake.rewrite(name, [row for row in self.lake.arrived[name] if self.random.random() < 0.7])

    def event(self) -> Row:
        days = self.random.choice([0, 0, 0, -2, -9])
        return event(
            f"E{self.random.randint(1, 90)}",
            self.random.randint(0, 12) * 15 + days * 1440,
            visitor=f"V{self.random.randint(1, 5)}",
            session_id=self.random.choice([None, None, "1", "2"]),
            value=self.random.choice([None, 3]),
            customer_id=self.random.choice([None, None, *(f"C{n}" for n in range(1, 5))]),
            event_type=self.random.choice(["page_view", "purchase", "of no meaning"]),
            url=self.random.choice(["https://shop.example/p/1", None]),
            user_agent=self.random.choice([None, "Mozilla/5.0 (Windows NT 10.0)", "Googlebot/2.1"]),
        )

    def customer(self) -> Row:
        updated_at = NOON + timedelta(hours=6 * self.random.randint(-8, 8))
        city = self.random.choice(["Leeds", "Derby"])
        return {"customer_id": f"C{self.random.randint(1, 4)}", "city": city, "updated_at": updated_at}


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_incremental_sessions_equal_a_full_refresh(seed: int, incremental: Warehouse, full: Warehouse) -> None:
    # Given a clickstream with every irregularity
    shop = Chance(seed)

    # When one warehouse is built after every load, then it equals a warehouse that is built from nothing
    for load in range(4):
        shop.load()
        incremental.build(shop.lake, *ONLY)
        if load % 2 == 1:
            full.build(shop.lake, "--full-refresh", *ONLY)
            assert incremental.differences(full) == {}


def test_only_the_visitors_of_whom_something_came_are_built_again(incremental: Warehouse) -> None:
    # Given two visitors' sessions, with a mark on each
    lake = Lake()
    lake.load(NOON, web__events=[event("E1", 0), event("E2", 0, visitor="V2")])
    incremental.build(lake, *ONLY)
    with incremental.connect() as warehouse:
        warehouse.execute("update core.fct_web_events set page_path = 'mark'")
        warehouse.execute("update core.fct_sessions set landing_path = 'mark'")

    # When a new event of one of them arrives
    lake.load(NOON, web__events=[event("E3", 5)])
    incremental.build(lake, *ONLY)

    # Then the other session keeps the mark
    query = "select visitor_id, {} from {} order by all"
    assert incremental.rows(query.format("page_path", "core.fct_web_events")) == [
        ("V1", None),
        ("V1", None),
        ("V2", "mark"),
    ]
    assert incremental.rows(query.format("landing_path", "core.fct_sessions")) == [("V1", None), ("V2", "mark")]


def test_sessions_follow_events_that_were_built_anew_or_not_yet(incremental: Warehouse) -> None:
    # Given sessions, and an event that the events model does not have yet
    lake = Lake()
    lake.load(NOON, web__events=[event("E1", 0)])
    incremental.build(lake, *ONLY)
    lake.load(NOON, web__events=[event("E2", 5)])

    # When only sessions are built, and then both
    incremental.build(lake, "--select", "fct_sessions")
    incremental.build(lake, *ONLY)

    # Then the event is counted
    assert incremental.rows(SESSIONS) == [("V1", NOON, NOON + timedelta(minutes=5), 2)]

    # And when the rule of a session changes, then sessions follow the new rule without an explicit full refresh
    incremental.build(lake, *ONLY, "--vars", "session_gap_minutes: 4")
    assert [event_count for *_, event_count in incremental.rows(SESSIONS)] == [1, 1]


def test_fault_17_18_late_events_join_their_sessions_and_later_ones_are_told_of(
    incremental: Warehouse, full: Warehouse
) -> None:
    """Events arrived out of order and late, some within the allowed lateness and one beyond it: I, A."""
    # Given two sessions, forty minutes apart, almost three days before the newest event
    lake, in_order = Lake(), Lake()
    first = [event("E1", 0), event("E3", 40), event("newest", 72 * 60 - 1, visitor="V2")]
    in_time = [event("E4", 50), event("E2", 20)]
    lake.load(NOON + timedelta(days=4), web__events=first)
    incremental.build(lake, *ONLY)
    assert len(incremental.rows(SESSIONS)) == 3

    # When the events between them arrive, last one first, then there is one session, as if all were in order
    lake.load(NOON + timedelta(days=4), web__events=in_time)
    incremental.build(lake, *ONLY)
    in_order.load(NOON + timedelta(days=4), web__events=sorted(first + in_time, key=lambda row: row["occurred_at"]))
    full.build(in_order, *ONLY)
    sessions = incremental.rows(SESSIONS)
    assert sessions == full.rows(SESSIONS)
    assert sessions[0] == ("V1", NOON, NOON + timedelta(minutes=50), 4)
    assert tell(incremental, lake) == ("pass", 0)

    # When a later event arrives, twice, then sessions are unchanged, and it is stored and reported
    for _ in range(2):
        lake.load(NOON + timedelta(days=4), web__events=[event("late", -2), event("E5", 55)])
        incremental.build(lake, *ONLY)
    assert incremental.rows(SESSIONS)[0] == ("V1", NOON, NOON + timedelta(minutes=55), 5)
    assert incremental.rows("select event_id, session_id from core.fct_web_events where is_late") == [("late", None)]
    assert tell(incremental, lake) == ("warn", 1)


def tell(warehouse: Warehouse, lake: Lake) -> tuple[str, int]:
    """Return status and count of the test of late-arriving events."""
    results: Any = warehouse.dbt(lake, "test", "--select", LATE).result
    return next((str(test.status), test.failures) for test in results if test.node.name == LATE)


def test_a_trackers_own_sessions_take_the_place_of_pauses(incremental: Warehouse, full: Warehouse) -> None:
    # Given a museum's app that numbers its visits, a kiosk without numbers, and a guide who is logged in on two tabs
    lake = Lake()
    lake.load(
        NOON,
        web__events=[
            event("A1", 0, visitor="app", session_id="1"),
            event("A2", 90, visitor="app", session_id="1"),
            event("A3", 91, visitor="app", session_id="2"),
            event("A4", 92, visitor="app", session_id=" "),
            event("K1", 0, visitor="kiosk"),
            event("K2", 20, visitor="kiosk"),
            event("K3", 90, visitor="kiosk"),
            event("G1", 0, visitor="guide", session_id="1"),
            event("G2", 5, visitor="guide", session_id="left", customer_id="C1"),
            event("G3", 5, visitor="guide", session_id="right", customer_id="C2"),
        ],
    )

    # When sessions are built, then a pause of an hour ends no visit of the app, and a minute begins one
    incremental.build(lake, *ONLY)
    minutes = [(name, (end - start).seconds // 60, count) for name, start, end, count in incremental.rows(SESSIONS)]
    assert sorted(minutes) == [
        ("app", 0, 1),
        ("app", 0, 1),
        ("app", 90, 2),
        ("guide", 0, 1),
        ("guide", 0, 1),
        ("guide", 0, 1),
        ("kiosk", 0, 1),
        ("kiosk", 20, 2),
    ]

    # And tabs that open at one moment are two sessions, of which the first one names the guest
    stitched = incremental.rows(
        "select session_id, customer_id, stitched_customer_id from core.fct_sessions "
        "where visitor_id = 'guide' order by all"
    )
    assert stitched == [
        ("guide-tracker-1", None, "C1"),
        ("guide-tracker-left", "C1", "C1"),
        ("guide-tracker-right", "C2", "C2"),
    ]

    # And a late event of the first visit joins it, in whatever order
    lake.load(NOON, web__events=[event("A0", -30, visitor="app", session_id="1")])
    incremental.build(lake, *ONLY)
    full.build(lake, "--full-refresh", *ONLY)
    assert incremental.differences(full) == {}
    numbered = "select event_id, event_number from core.fct_web_events where session_id = 'app-tracker-1' order by all"
    assert incremental.rows(numbered) == [("A0", 1), ("A1", 2), ("A2", 3)]
