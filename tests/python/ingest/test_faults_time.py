"""Wrong times: in the future, ambiguous or missing at a DST transition, at the ends of the calendar, late-arriving."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from support.shop import Shop, make_contract

from flows.core.errors import UsageError

COLUMNS = {"id": "varchar not null", "at": "timestamp"}
UNCLEAR = "at: ambiguous local time (DST change)"


@pytest.fixture
def meters(shop: Shop) -> Shop:
    shop.declare("site.readings", COLUMNS, key=["id"], load="append")
    shop.map(**{"from": "*"})
    return shop


def database(shop: Shop, kind: str = "texts") -> Path:
    """Make the source a database whose times are texts, or give the loader typed times."""
    path = shop.folder / "site.sqlite"
    shop.connect(f"sqlite:///{path}" if kind == "texts" else f"sqlite+pysqlite:///{path}?detect_types=1")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"create table readings (id text, at {'text' if kind == 'texts' else 'timestamp'})")
    return path


def insert(path: Path, *rows: tuple[str, str]) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany("insert into readings values (?, ?)", rows)


@pytest.mark.parametrize("kind", ["texts", "times"])
def test_fault_19_a_row_committed_late_is_caught_by_the_overlap(meters: Shop, kind: str) -> None:
    """A row was committed after later rows were read, with a time before them but within the lookback: I."""
    # Given a source that was read up to noon
    meters.declare(
        "site.readings", COLUMNS, key=["id"], load="upsert", cursor="at", lookback={"count": 2, "period": "hour"}
    )
    path = database(meters, kind)
    insert(path, ("1", "2026-03-01 11:00:00"), ("2", "2026-03-01 12:00:00"))
    meters.load()

    # When rows are committed with times almost two hours before, and less
    insert(path, ("3", "2026-03-01 10:00:01"), ("4", "2026-03-01 11:59:59"))
    load, again = meters.load(), meters.load()

    # Then each of them is there, once
    assert (load.counts.accepted, again.counts.accepted) == (2, 0)
    assert meters.rows("id") == ["1", "2", "3", "4"]


@pytest.mark.parametrize("data_type", ["timestamp", "date"])
def test_fault_20_a_cursor_from_the_future_is_quarantined(meters: Shop, data_type: str) -> None:
    """Rows had times a little or far in the future, in the cursor and in a column of planned times: Q."""
    # Given clocks that are right, some hours fast, and wrong
    now = datetime.now(UTC)
    columns = {**COLUMNS, "at": data_type, "due_at": "timestamp"}
    meters.declare("site.readings", columns, key=["id"], load="upsert", cursor="at")
    times = [now - timedelta(days=400), now, now + timedelta(hours=3), now + timedelta(days=3), datetime(2099, 1, 1)]
    form = "%Y-%m-%d" if data_type == "date" else "%Y-%m-%d %H:%M:%S"
    rows = [{"id": str(n), "at": f"{at:{form}}", "due_at": "2099-01-01 00:00:00"} for n, at in enumerate(times)]
    meters.drop_rows("1.jsonl", rows)

    # When they are loaded, then times within the tolerance of one day pass
    meters.load()
    assert meters.rows("id") == ["0", "1", "2"]
    reason = ["at: lies further ahead than future_tolerance allows"]
    assert [reasons for _, reasons in meters.quarantine()] == [reason, reason]

    # And a contract with a larger tolerance accepts the rejected times
    tolerance = {"count": 10, "period": "day"}
    meters.declare("site.readings", columns, key=["id"], load="upsert", cursor="at", future_tolerance=tolerance)
    meters.load()
    assert meters.rows("id") == ["0", "1", "2", "3"]
    with pytest.raises(UsageError, match="future_tolerance is 'much'; write a duration"):
        make_contract(future_tolerance="much")


def test_fault_20_what_has_happened_lies_not_ahead(meters: Shop) -> None:
    """Rows had an event in the future, but a correct cursor: Q."""
    # Given a contract that says which times are past and which are planned
    happened = {"data_type": "timestamp", "config": {"meta": {"has_happened": True}}}
    columns = {**COLUMNS, "at": "timestamp", "ordered_at": happened, "due_at": "timestamp"}
    meters.declare("site.readings", columns, key=["id"], load="upsert", cursor="at")
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"
    ahead = "2062-03-01 00:00:00"
    meters.drop_rows(
        "1.jsonl",
        [
            {"id": "1", "at": now, "ordered_at": now, "due_at": ahead},
            {"id": "2", "at": now, "ordered_at": ahead, "due_at": ahead},
            {"id": "3", "at": now, "ordered_at": None, "due_at": None},
        ],
    )

    # When they are loaded, then the past event with a future time is quarantined
    meters.load()
    assert meters.rows("id") == ["1", "3"]
    assert [reasons for _, reasons in meters.quarantine()] == [
        ["ordered_at: lies further ahead than future_tolerance allows"]
    ]


def test_fault_20_a_row_of_2099_does_not_hide_what_comes_until_then(meters: Shop) -> None:
    """A database had a row of 2099 before rows of today arrived: the watermark stopped at the present time: Q, I."""
    # Given such a row
    meters.declare("site.readings", COLUMNS, key=["id"], load="upsert", cursor="at")
    path = database(meters)
    insert(path, ("1", "2099-01-01 00:00:00"))
    assert meters.load().counts.quarantined == 1

    # When a row of the present arrives, then it is read, and the other one is quarantined once
    insert(path, ("2", f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}"))
    load = meters.load()
    assert (load.counts.accepted, load.counts.quarantined, load.counts.duplicate) == (1, 0, 1)


HOURS = {
    ("Europe/Berlin", "2026-03-29 01:59:59"): datetime(2026, 3, 29, 0, 59, 59),
    ("Europe/Berlin", "2026-03-29 02:00:00"): None,
    ("Europe/Berlin", "2026-03-29 02:59:59.999999"): None,
    ("Europe/Berlin", "2026-03-29 03:00:00"): datetime(2026, 3, 29, 1),
    ("Europe/Berlin", "2026-10-25 01:59:59"): datetime(2026, 10, 24, 23, 59, 59),
    ("Europe/Berlin", "2026-10-25 02:00:00"): None,
    ("Europe/Berlin", "2026-10-25 02:59:59"): None,
    ("Europe/Berlin", "2026-10-25 03:00:00"): datetime(2026, 10, 25, 2),
    ("Europe/Berlin", "2026-10-25T02:30:00+02:00"): datetime(2026, 10, 25, 0, 30),
    ("Europe/Berlin", "2026-10-25T02:30:00+01"): datetime(2026, 10, 25, 1, 30),
    ("Europe/Berlin", "2026-03-29T02:30:00Z"): datetime(2026, 3, 29, 2, 30),
    ("Europe/Berlin", "2026-10-25 02:30:00 UTC"): datetime(2026, 10, 25, 2, 30),
    ("Europe/Berlin", "2026-10-25"): datetime(2026, 10, 24, 22),
    ("Europe/London", "2026-10-25 01:30:00"): None,
    ("Europe/London", "2026-03-29 01:30"): None,
    ("America/New_York", "2026-11-01T01:30:00"): None,
    ("America/New_York", "2026-11-01T02:00:00"): datetime(2026, 11, 1, 7),
    ("Australia/Lord_Howe", "2026-04-05 01:45:00"): None,
    ("Australia/Lord_Howe", "2026-04-05 01:29:00"): datetime(2026, 4, 4, 14, 29),
    ("Pacific/Apia", "2011-12-30 12:00:00"): None,
    ("Asia/Kolkata", "2026-03-29 02:30:00"): datetime(2026, 3, 28, 21),
    ("UTC", "2026-03-29 02:30:00"): datetime(2026, 3, 29, 2, 30),
}
"""A time zone and a local time, and the moment in UTC; None if the time is missing or ambiguous."""


@pytest.mark.parametrize("zone", sorted({zone for zone, _ in HOURS}))
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_fault_21_a_time_between_two_clocks_is_quarantined(meters: Shop, zone: str, kind: str) -> None:
    """Local times were in the missing or the repeated hour of a DST transition: as texts, typed, some with an offset:
    Q.
    """
    # Given local times of a zone
    times = {text: moment for (where, text), moment in HOURS.items() if where == zone}
    if kind == "parquet":
        times = {text: moment for text, moment in times.items() if len(text) > 10 and not {*"+ZU"} & {*text}}
        naive = pa.array([datetime.fromisoformat(text) for text in times], pa.timestamp("us"))
        table = pa.table({"id": list(times), "at": naive})
        parquet.write_table(table, meters.exports / "1.parquet")
    else:
        meters.drop("1.csv", "id,at\n" + "".join(f"{text},{text}\n" for text in times))
    meters.map(**{"from": "*", "time_zone": zone})

    # When they are loaded, then unambiguous times become UTC, and the others are quarantined
    meters.load()
    assert dict(meters.rows("id", '"at"')) == {text: at for text, at in times.items() if at is not None}
    assert [reasons for _, reasons in meters.quarantine()] == [[UNCLEAR] for at in times.values() if at is None]


def test_fault_22_the_ends_of_the_calendar_are_kept_and_what_lies_beyond_is_quarantined(meters: Shop) -> None:
    """Times were of the years 1, 1900 and 9999, near the epoch, and outside of the calendar: Q."""
    # Given times at both limits, and beyond them
    kept = {
        "0001-01-01 00:00:00": datetime(1, 1, 1),
        "1900-01-01 00:00:00": datetime(1900, 1, 1),
        "1969-12-31 23:59:59.999999": datetime(1969, 12, 31, 23, 59, 59, 999999),
        "1970-01-01 00:00:00": datetime(1970, 1, 1),
        "2000-02-29 00:00:00": datetime(2000, 2, 29),
        "9999-12-31 23:59:59.999999": datetime(9999, 12, 31, 23, 59, 59, 999999),
    }
    refused = ["2016-12-31 23:59:60", "1900-02-29 00:00:00", "10000-01-01 00:00:00", "0000-00-00 00:00:00"]
    refused += ["9999-12-31T23:59:59-01:00", "0044-03-15 (BC) 12:00:00"]
    meters.drop("1.csv", "id,at\n" + "".join(f"{text},{text}\n" for text in [*kept, *refused]))

    # When they are loaded, twice, then valid times are exact, and the others are quarantined as they came
    meters.load()
    assert meters.load().counts.duplicate == len(kept) + len(refused)
    assert dict(meters.rows("id", '"at"')) == kept
    assert [raw for raw, _ in meters.quarantine()] == [f'{{"id":"{text}","at":"{text}"}}'.encode() for text in refused]
    assert {reason for _, reasons in meters.quarantine() for reason in reasons} == {"at: is no timestamp"}

    # And the same holds for dates
    meters.declare("site.days", {"id": "varchar", "at": "date"}, key=["id"], load="append")
    meters.map(**{"from": "days.csv"})
    meters.drop("days.csv", "id,at\n1,0001-01-01\n2,9999-12-31\n3,10000-01-01\n4,2026-02-29\n")
    meters.load()
    assert meters.rows("id") == ["1", "2"]
