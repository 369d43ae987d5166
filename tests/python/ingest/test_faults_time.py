"""Wrong times: in the future, ambiguous or missing at a DST transition, at the ends of the calendar, late-arriving."""

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
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
    assert (load.counts.accepted, load.counts.quarantined, load.counts.known) == (1, 0, 1)


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


REPEATED = {
    ("Europe/Berlin", "2026-10-25 02:00:00"): (datetime(2026, 10, 25, 0), datetime(2026, 10, 25, 1)),
    ("Europe/Berlin", "2026-10-25 02:59:59"): (datetime(2026, 10, 25, 0, 59, 59), datetime(2026, 10, 25, 1, 59, 59)),
    ("Australia/Lord_Howe", "2026-04-05 01:45:00"): (datetime(2026, 4, 4, 14, 45), datetime(2026, 4, 4, 15, 15)),
}
"""A zone and a time of its clocks in an hour that comes twice, and its two moments in UTC."""


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("data_type", ["timestamp", "timestamp with time zone"])
@pytest.mark.parametrize(
    ("zone", "repeated"), [("Europe/Berlin", "first"), ("Europe/Berlin", "second"), ("Australia/Lord_Howe", "first")]
)
def test_fault_109_a_time_in_the_repeated_hour_is_the_moment_that_a_mapping_says(
    meters: Shop, zone: str, repeated: str, data_type: str, kind: str
) -> None:
    """Local times came from the repeated hour, and the mapping said which of its two moments they are: Q."""
    # Given times of a zone, as texts or typed
    moments = {text: at for (where, text), at in HOURS.items() if where == zone}
    moments |= {text: pair[repeated == "second"] for (where, text), pair in REPEATED.items() if where == zone}
    if kind == "parquet":
        moments = {text: moment for text, moment in moments.items() if len(text) > 10 and not {*"+ZU"} & {*text}}
        naive = pa.array([datetime.fromisoformat(text) for text in moments], pa.timestamp("us"))
        parquet.write_table(pa.table({"id": list(moments), "at": naive}), meters.exports / "1.parquet")
    else:
        meters.drop("1.csv", "id,at\n" + "".join(f"{text},{text}\n" for text in moments))
    meters.declare("site.readings", {"id": "varchar not null", "at": data_type}, key=["id"], load="append")
    meters.map(**{"from": "*", "time_zone": {"name": zone, "repeated": repeated}})

    # When they are loaded, then they are that moment; the hour that clocks skip is no moment and is quarantined
    meters.load()
    loaded = dict(meters.rows("id", """timezone('UTC', "at")""" if "zone" in data_type else '"at"'))
    assert loaded == {text: at for text, at in moments.items() if at is not None}
    assert [reasons for _, reasons in meters.quarantine()] == [[UNCLEAR] for at in moments.values() if at is None]


def test_fault_109_a_repeated_hour_that_no_one_chose_stays_in_quarantine(meters: Shop) -> None:
    """A mapping named a zone in both forms without a choice, then chose; the record left quarantine: Q."""
    # Given a time of the repeated hour
    meters.drop("1.csv", "id,at\n1,2026-10-25 02:30:00\n")
    for zone in ("Europe/Berlin", {"name": "Europe/Berlin"}):
        meters.map(**{"from": "*", "time_zone": zone})
        meters.load()
        assert [reasons for _, reasons in meters.quarantine()] == [[UNCLEAR]]

    # When the mapping chooses, then it is loaded
    meters.map(**{"from": "*", "time_zone": {"name": "Europe/Berlin", "repeated": "second"}})
    meters.load()
    assert meters.rows('"at"') == [datetime(2026, 10, 25, 1, 30)]
    assert meters.quarantine() == []

    # And another choice is refused
    meters.map(**{"from": "*", "time_zone": {"name": "Europe/Berlin", "repeated": "both"}})
    with pytest.raises(UsageError, match="time_zone"):
        meters.load()


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
    assert meters.load().counts.known == len(kept) + len(refused)
    assert dict(meters.rows("id", '"at"')) == kept
    assert [raw for raw, _ in meters.quarantine()] == [f'{{"id":"{text}","at":"{text}"}}'.encode() for text in refused]
    assert all(reason.startswith("at: is no timestamp") for _, (reason,) in meters.quarantine())

    # And the same holds for dates
    meters.declare("site.days", {"id": "varchar", "at": "date"}, key=["id"], load="append")
    meters.map(**{"from": "days.csv"})
    meters.drop("days.csv", "id,at\n1,0001-01-01\n2,9999-12-31\n3,10000-01-01\n4,2026-02-29\n")
    meters.load()
    assert meters.rows("id") == ["1", "2"]


FORMS = {
    "2024-01-02 10:11:12": datetime(2024, 1, 2, 10, 11, 12),
    "2024-01-02T10:11:12.123456": datetime(2024, 1, 2, 10, 11, 12, 123456),
    "2024-01-02T10:11:12.1200000000Z": datetime(2024, 1, 2, 10, 11, 12, 120000),
    "2024-01-02 10:11:12+05:30": datetime(2024, 1, 2, 4, 41, 12),
    "2024-01-02 10:11:12-0800": datetime(2024, 1, 2, 18, 11, 12),
    "2024-01-02 10:11:12+02": datetime(2024, 1, 2, 8, 11, 12),
    "2024-01-02 10:11:12 UTC": datetime(2024, 1, 2, 10, 11, 12),
    "2024-01-02 10:11": datetime(2024, 1, 2, 10, 11),
    "2024/1/2 10:11": datetime(2024, 1, 2, 10, 11),
    "2024-01-02": datetime(2024, 1, 2),
    "2024-01-02 24:00:00": datetime(2024, 1, 3),
    " 2024-01-02 10:11:12 ": datetime(2024, 1, 2, 10, 11, 12),
    "1/2/24 10:11": None,
    "24-01-02 10:11:12": None,
    "  24-01-02 10:11:12": None,
    "1/2/24": None,
    "1/2/2024": None,
    "13/2/2024 10:11": None,
    "2 Jan 2024": None,
    "02024-01-02 10:11:12": None,
    "12024-01-02 10:11:12": None,
    "-2024-01-02 10:11:12": None,
    "0044-03-15 (BC)": None,
    "2024-01-02 10:11 PM": None,
    "2024-01-02 10:11:12 EST": None,
    "2024-01-02 10:11:12 IST": None,
    "2024-01-02 10:11:12 CST": None,
    "2024-01-02 10:11:12 Europe/Berlin": None,
    "2024-01-02 10:11:12+99:00": None,
    "2024-01-02 10:11:12-24:00": None,
    "2024-01-02 10:11:12.1234567": None,
    "2024-01-02 23:59:60": None,
    "2024-01-02 24:00:01": None,
    "2024-W01": None,
    "2024-W01-2": None,
    "2024-002": None,
    "2024-01": None,
    "2024": None,
    "20240102": None,
    "1704190272": None,
    "infinity": None,
    "-infinity": None,
    "epoch": None,
    "today": None,
    "now": None,
    "0000-00-00 00:00:00": None,
}
"""A text, and the time that it is in UTC; None if its parts may be read in more than one way, or not at all."""


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "sqlite"])
@pytest.mark.parametrize("data_type", ["timestamp", "timestamp with time zone", "date"])
def test_fault_101_only_a_time_that_can_be_read_in_one_way_is_read(meters: Shop, kind: str, data_type: str) -> None:
    """Times came as texts of many forms: two-digit years, day first, zone abbreviations, special words: Q."""
    # Given texts in every form that a cast of the database might take
    meters.declare("site.readings", {"id": "varchar not null", "at": data_type}, key=["id"], load="append")
    meters.change(quarantine_limit_pct=100.0)
    rows = [{"id": f"{number:02}", "at": text} for number, text in enumerate(FORMS)]
    if kind == "csv":
        meters.drop("1.csv", "id,at\n" + "".join(f'{row["id"]},"{row["at"]}"\n' for row in rows))
    elif kind == "jsonl":
        meters.drop_rows("1.jsonl", rows)
    elif kind == "parquet":
        parquet.write_table(pa.Table.from_pylist(rows), meters.exports / "1.parquet")
    else:
        insert(database(meters), *((row["id"], row["at"]) for row in rows))
        meters.map()

    # When they are loaded, then those that have one meaning are exact, and the others are told how to be read
    meters.load()
    wanted = {text: at for text, at in FORMS.items() if at is not None}
    if data_type == "date":
        wanted = {text: at for text, at in wanted.items() if at == datetime(2024, 1, 2)}
    loaded = dict(meters.rows("id", """timezone('UTC', "at")""" if "zone" in data_type else '"at"'))
    assert {text: loaded.get(f"{number:02}") for number, text in enumerate(FORMS) if f"{number:02}" in loaded} == {
        text: at.date() if data_type == "date" else at for text, at in wanted.items()
    }
    reasons = {reason for _, reasons in meters.quarantine() for reason in reasons}
    form = "%d/%m/%Y" if data_type == "date" else "%d/%m/%Y %H:%M"
    assert reasons == {
        f"at: is no {data_type} in ISO 8601, with six digits of a second at most; "
        f"name another format in the mapping: strptime(\"at\", '{form}')"
    }
    assert meters.load().counts.accepted == 0


def test_fault_101_a_mapping_names_the_format_of_a_time(meters: Shop) -> None:
    """Day-first times, epoch seconds and times of a named zone came, and the mapping named their format: Q."""
    # Given a mapping that names the format of each column
    columns = {"id": "varchar not null", "at": "timestamp", "day": "date", "epoch": "timestamp", "two": "date"}
    meters.declare("site.readings", columns, key=["id"], load="append")
    formats = {
        "at": "strptime(\"at\", '%d/%m/%Y %H:%M')",
        "day": "strptime(day, '%d.%m.%Y')",
        "epoch": "to_timestamp(cast(epoch as bigint))",
        "two": "strptime(two, '%d/%m/%y')",
    }
    meters.map(**{"from": "*", "columns": formats, "time_zone": "Europe/Berlin"})
    meters.drop(
        "1.csv",
        "id,at,day,epoch,two\n"
        "1,13/02/2024 10:11,13.02.2024,1704190272,13/02/24\n"
        "2,02/13/2024 10:11,13.02.2024,1704190272,13/02/24\n"
        "3,2024-02-13 10:11,13.02.2024,1704190272,13/02/24\n",
    )

    # When they are loaded, then times are local times of the zone, epochs are moments, and misfits are in quarantine
    meters.load()
    assert meters.rows("id", '"at"', "day", "epoch", "two") == [
        ("1", datetime(2024, 2, 13, 9, 11), date(2024, 2, 13), datetime(2024, 1, 2, 10, 11, 12), date(2024, 2, 13))
    ]
    assert [reasons for _, reasons in meters.quarantine()] == [["at: cannot be mapped"]] * 2


@pytest.mark.parametrize("data_type", ["date", "timestamp", "timestamp with time zone"])
@pytest.mark.parametrize(
    "expression",
    ["strptime(\"at\", '%d/%m/%Y')", "try_strptime(\"at\", '%d/%m/%Y')", 'CAST("at" AS date)', '"at"::date'],
)
def test_fault_101_a_format_does_not_read_two_digits_as_a_year(meters: Shop, expression: str, data_type: str) -> None:
    """A mapping named a format with four digits, and some years had two: Q."""
    # Given days whose years have four digits and two
    meters.declare("site.readings", {"id": "varchar not null", "at": data_type}, key=["id"], load="append")
    meters.change(quarantine_limit_pct=100.0)
    meters.map(**{"from": "*", "columns": {"at": expression}})
    good = "13/02/2024" if "strptime" in expression else "2024-02-13"
    meters.drop("1.csv", f"id,at\n1,{good}\n2,1/2/24\n3,\n")

    # When they are loaded, then those with two wait in quarantine, with the remedy
    meters.load()
    day = """cast(timezone('UTC', "at") as date)""" if "zone" in data_type else 'cast("at" as date)'
    assert meters.rows("id", day) == [("1", date(2024, 2, 13)), ("3", None)]
    reason = "at: has a year of fewer than four digits; name another format in the mapping, such as %y"
    assert [reasons for _, reasons in meters.quarantine()] == [[reason]]


def test_fault_102_a_number_or_a_finer_time_is_no_time_of_the_contract(meters: Shop) -> None:
    """Parquet held epoch numbers, infinities, years beyond the calendar and nanoseconds in times: Q."""
    # Given typed values of which each column holds one that can be kept, and one that cannot
    kinds = {"ns": "timestamp", "zoned_ns": "timestamp", "ns_day": "date", "number": "timestamp", "millis": "timestamp"}
    meters.declare("site.readings", {"id": "varchar not null", **kinds}, key=["id"], load="append")
    second = 1_704_190_272_000_000_000
    columns = {
        "id": ["kept", "ns", "zoned_ns", "ns_day", "number"],
        "ns": pa.array([second, second + 1, second, second, second], pa.timestamp("ns")),
        "zoned_ns": pa.array([second, second, second + 999, second, second], pa.timestamp("ns", "UTC")),
        "ns_day": pa.array([1_704_153_600_000_000_000 + (400 if n == 3 else 0) for n in range(5)], pa.timestamp("ns")),
        "number": [None, None, None, None, 1_704_190_272],
        "millis": pa.array([1_704_190_272_123] * 5, pa.timestamp("ms", "UTC")),
        "further_ns": pa.array([second + 1] * 5, pa.timestamp("ns")),
    }
    parquet.write_table(pa.table(columns), meters.exports / "1.parquet")

    # When they are loaded, then none is rounded
    meters.load()
    whole, kept = datetime(2024, 1, 2, 10, 11, 12), datetime(2024, 1, 2, 10, 11, 12, 123000)
    assert meters.rows("id", "ns", "zoned_ns", "ns_day", "number", "millis", "further_ns") == [
        ("kept", whole, whole, date(2024, 1, 2), None, kept, "2024-01-02 10:11:12.000000001")
    ]
    assert [reasons for _, reasons in meters.quarantine()] == [
        ['ns: is no timestamp: it has nanoseconds; cut them in the mapping: cast("ns" as timestamp)'],
        ['zoned_ns: is no timestamp: it has nanoseconds; cut them in the mapping: cast("zoned_ns" as timestamptz)'],
        ['ns_day: is no date: it has a time of day; cut it in the mapping: cast("ns_day" as date)'],
        ['number: is no timestamp but a number; map one that counts seconds since 1970: to_timestamp("number")'],
    ]


def test_fault_103_what_happened_lies_not_before_the_earliest_day(meters: Shop) -> None:
    """One event was dated to the year 1, as a default value of its database, and one to the year 24: Q."""
    # Given a contract that says which times are of what has happened
    happened = {"data_type": "timestamp", "config": {"meta": {"has_happened": True}}}
    columns = {**COLUMNS, "ordered_at": happened, "valid_from": "timestamp"}
    meters.declare("site.readings", columns, key=["id"], load="upsert", cursor="at")
    years = {"now": "2024", "first": "1900", "before": "1899", "two": "0024", "default": "0001"}
    for column in ("at", "ordered_at"):
        rows = [
            {"id": f"{column} {name}", "at": "2024-01-01", "ordered_at": "2024-01-01", "valid_from": "0001-01-01"}
            | {column: f"{year}-01-01"}
            for name, year in years.items()
        ]
        meters.drop_rows(f"{column}.jsonl", rows)

    # When they are loaded, then one wrong date is in quarantine, and makes no calendar of two thousand years
    meters.load()
    assert sorted(meters.rows("id")) == ["at first", "at now", "ordered_at first", "ordered_at now"]
    assert [reasons for _, reasons in meters.quarantine()] == [
        [f"{column}: lies before 1900-01-01, the contract's earliest day"]
        for column in ("at", "ordered_at")
        for _ in range(3)
    ]

    # And a contract of older events says so
    meters.declare("site.readings", columns, key=["id"], load="upsert", cursor="at", earliest="1850-01-01")
    meters.load()
    kept = [f"{column} {name}" for column in ("at", "ordered_at") for name in ("before", "first", "now")]
    assert sorted(meters.rows("id")) == kept
    with pytest.raises(UsageError, match="earliest is 'long ago'; write a day such as 1900-01-01"):
        make_contract(earliest="long ago")
