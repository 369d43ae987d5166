"""The generic tests of anomalies: what each finds, what it lets pass, and when it may speak at all."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from math import sqrt
from typing import Any

import duckdb
import pytest

from tests.benchmarks.anomalies.detector import MACROS, Refused, Relation, run_test

FIRST = datetime(2026, 1, 5)
WEEK = (100, 90, 95, 105, 130, 60, 40)
"""Rows of each weekday; Mondays first."""


@pytest.fixture
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": "1"}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        yield connection


def make(
    database: duckdb.DuckDBPyConnection, counts: Sequence[int], step: timedelta = timedelta(days=1), **columns: str
) -> None:
    """Make a table `events` with so many rows in each unit; columns are SQL over `unit` and `place`."""
    listed = ", ".join(f"{sql} as {name}" for name, sql in columns.items())
    values = ", ".join(f"({unit}, {count}, timestamp '{FIRST + unit * step}')" for unit, count in enumerate(counts))
    database.execute(
        f"create or replace table events as select unit, place, started_at + to_seconds(0.5 * place) as happened_at, "
        f"started_at as _loaded_at, 'load ' || unit as _load_id{', ' if listed else ''}{listed} "
        f"from (values {values}) as units (unit, row_count, started_at), range(row_count) as places (place)"
    )


def usual(days: int, last: int | None = None, noise: int = 7) -> list[int]:
    """Return the rows of so many days of a shop with a week, of which the last may have another number."""
    counts = [WEEK[day % 7] + day * 5 % noise - noise // 2 for day in range(days)]
    return counts if last is None else [*counts[:-1], last]


def levels(database: duckdb.DuckDBPyConnection, test: str, **arguments: Any) -> list[int]:
    return [row["level"] for row in run_test(database, test, "events", at="happened_at", **arguments)]


def volume(database: duckdb.DuckDBPyConnection, counts: Sequence[int], **arguments: Any) -> list[int]:
    """Return the levels of the newest day, which is closed by a row of the day after it."""
    make(database, [*counts, 1])
    return levels(database, "volume_is_usual", **arguments)


@pytest.mark.parametrize(("rows", "found"), [(60, []), (45, []), (22, [1]), (0, [2]), (110, [1]), (300, [2])])
def test_a_day_is_compared_with_its_weekday_and_told_by_its_effect(
    database: duckdb.DuckDBPyConnection, rows: int, found: list[int]
) -> None:
    """A Saturday has about 60 rows, and a usual Monday has 100."""
    assert volume(database, usual(62, last=rows)) == found


def test_a_part_of_a_table_that_stops_is_found_while_the_rest_goes_on(database: duckdb.DuckDBPyConnection) -> None:
    make(database, [*usual(62), 1], channel="if(place % 2 = 0 and unit < 61, 'web', 'shop')")
    assert levels(database, "volume_is_usual", where="channel = 'web'") == [2]
    assert levels(database, "volume_is_usual", where="channel = 'none'") == []


def test_a_monday_may_have_what_a_saturday_may_not(database: duckdb.DuckDBPyConnection) -> None:
    assert volume(database, usual(64, last=100)) == []


def test_the_tested_day_is_no_part_of_its_own_baseline(database: duckdb.DuckDBPyConnection) -> None:
    """Whatever its rows are, the number that was to be expected is the same, and so is the spread around it."""
    baselines = []
    for rows in (0, 65, 50_000):
        make(database, [*usual(31, last=rows, noise=41), 1])
        always = {"warn_score": 0, "warn_effect": 0}
        (row,) = run_test(database, "volume_is_usual", "events", at="happened_at", limits=always)
        distance = 2 * sqrt(rows + 0.375) - 2 * sqrt(row["expected_count"] + 0.375)
        baselines.append((row["expected_count"], distance / row["score"]))
    assert baselines[1:] == [pytest.approx(baselines[0])] * 2


def test_an_earlier_spike_hides_no_later_one(database: duckdb.DuckDBPyConnection) -> None:
    counts = usual(70, last=400)
    counts[60] = 900
    assert volume(database, counts) == [2]


def test_a_young_table_gives_no_finding_until_it_is_warm(database: duckdb.DuckDBPyConnection) -> None:
    assert volume(database, usual(28, last=900)) == []
    assert volume(database, usual(29, last=900)) == [2]
    assert volume(database, usual(15, last=900), warm_up=14) == [2]


def test_the_open_day_may_have_more_rows_than_usual_but_fewer_say_nothing(database: duckdb.DuckDBPyConnection) -> None:
    for rows, found in ((3, []), (900, [2])):
        make(database, usual(70, last=rows))
        assert levels(database, "volume_is_usual") == found


@pytest.mark.parametrize("every", ["hour", "week"])
def test_a_unit_is_what_the_source_delivers(database: duckdb.DuckDBPyConnection, every: str) -> None:
    """A weekly load has weeks without a gap, and no day of which six in seven are empty."""
    step = timedelta(**{f"{every}s": 1})
    steady = [50 + unit % 5 for unit in range(120)]
    for counts, found in ((steady, []), ([*steady[:-1], 2], [2])):
        make(database, [*counts, 1], step)
        assert levels(database, "volume_is_usual", every=every) == found


def test_a_level_that_rises_slowly_is_told(database: duckdb.DuckDBPyConnection) -> None:
    steady = [100 + day * 5 % 11 for day in range(90)]
    assert volume(database, steady) == []
    assert volume(database, [*steady, *(104 + 5 * day for day in range(14))]) == [1]


def test_a_column_that_turns_null_is_found_on_the_open_day_too(database: duckdb.DuckDBPyConnection) -> None:
    make(database, [200] * 40, email="if(place % 50 = 0 or (unit = 39 and place % 3 = 0), null, 'x')", name="'y'")
    (found,) = run_test(database, "nulls_are_usual", "events", at="happened_at", columns=["email", "name"])
    assert (found["column_name"], found["level"]) == ("email", 2)
    assert found["finding"].startswith("email is null in 34.5 percent of 200 rows in the day of 2026-02-13, and ")


def test_nulls_as_usual_or_of_few_rows_are_no_finding(database: duckdb.DuckDBPyConnection) -> None:
    make(database, [200] * 40, email="if(place % 10 = 0, null, 'x')")
    assert levels(database, "nulls_are_usual", columns=["email"]) == []
    make(database, [200] * 39 + [2], email="if(place % 50 = 0, null, 'x')")
    assert levels(database, "nulls_are_usual", columns=["email"]) == []


def test_a_source_that_stops_while_others_go_on_is_found(database: duckdb.DuckDBPyConnection) -> None:
    make(database, [1] * 20)
    database.execute("create table others as select timestamp '2026-01-24' as _loaded_at")
    clock = {"clock": [Relation("others")]}
    assert run_test(database, "arrivals_are_usual", "events", **clock) == []
    for day, level in (("2026-01-25", 0), ("2026-01-26", 1), ("2026-02-06", 2)):
        database.execute(f"insert into others values (timestamp '{day}')")
        found = run_test(database, "arrivals_are_usual", "events", **clock)
        assert [row["level"] for row in found] == [level] * (level > 0), day
    assert found[0]["finding"].endswith("hours, and 24.0 were usual between two loads")


def test_a_weekly_source_may_be_silent_for_days(database: duckdb.DuckDBPyConnection) -> None:
    make(database, [1] * 12, timedelta(days=7))
    last = FIRST + timedelta(days=77)
    database.execute(f"create table others as select timestamp '{last + timedelta(days=6)}' as _loaded_at")
    assert run_test(database, "arrivals_are_usual", "events", clock=[Relation("others")]) == []


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("'web'", []),
        ("if(place < 4, 'fax', 'web')", []),
        ("if(place < 8, 'fax', 'web')", [1]),
        ("if(place < 60, 'fax', 'web')", [2]),
    ],
)
def test_new_categories_are_found_once_they_are_more_than_a_slip(
    database: duckdb.DuckDBPyConnection, sql: str, found: list[int]
) -> None:
    make(database, [100] * 40, channel=f"if(unit < 39, 'web', {sql})")
    assert levels(database, "categories_are_usual", column="channel") == found


def test_a_category_that_vanishes_is_found_if_chance_does_not_explain_it(database: duckdb.DuckDBPyConnection) -> None:
    make(database, [100] * 40, channel="if(unit < 39 and place % 2 = 0, 'app', 'web')")
    found = run_test(database, "categories_are_usual", "events", at="happened_at", column="channel")
    assert (
        found[0]["finding"]
        == "none of 100 rows has the value app of channel, which 50.0 percent of the earlier ones have"
    )
    make(database, [100] * 40, channel="if(unit < 39 and place % 50 = 0, 'app', 'web')")
    assert levels(database, "categories_are_usual", column="channel") == []


@pytest.mark.parametrize(("factor", "found"), [(1, []), (1.25, [1]), (100, [2])])
def test_a_distribution_that_moves_is_found(
    database: duckdb.DuckDBPyConnection, factor: float, found: list[int]
) -> None:
    """Prices in cents instead of euros are a factor of a hundred."""
    make(database, [200] * 40, amount=f"(10 + (place * 37 + unit * 11) % 50) * if(unit = 39, {factor}, 1)")
    assert levels(database, "distribution_is_usual", column="amount") == found


def test_days_that_always_differ_are_usual(database: duckdb.DuckDBPyConnection) -> None:
    make(database, [200] * 42, amount="(10 + (place * 37) % 50) * if(unit % 7 in (5, 6), 3, 1)")
    assert levels(database, "distribution_is_usual", column="amount") == []


def test_a_mix_of_categories_that_moves_is_found(database: duckdb.DuckDBPyConnection) -> None:
    make(database, [200] * 40, channel="if(place % if(unit = 39, 2, 20) = 0, 'app', 'web')")
    assert levels(database, "distribution_is_usual", column="channel", kind="category") == [2]


@pytest.mark.parametrize(
    ("usual", "newest"),
    [
        ("5", "0.05"),
        ("if(place % 5 < 4, 1, 1 + place % 3)", "0"),
        ("if(place % 2 = 0, 1, 10)", "if(place % 2 = 0, 1, 7)"),
    ],
)
def test_a_number_that_most_rows_have_does_not_hide_a_fall_below_it(
    database: duckdb.DuckDBPyConnection, usual: str, newest: str
) -> None:
    """All ten intervals of a price that is always 5 end at 5."""
    make(database, [200] * 40, amount=f"if(unit = 39, {newest}, {usual})")
    assert levels(database, "distribution_is_usual", column="amount") == [2]
    make(database, [200] * 40, amount=usual)
    assert levels(database, "distribution_is_usual", column="amount") == []


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_a_value_that_never_moved_and_jumps_is_found(database: duckdb.DuckDBPyConnection, scale: str) -> None:
    """Its spread is zero, by which no jump could be divided."""
    for newest, found in ((5, []), (500, [2])):
        make(database, [20] * 40, amount=f"if(unit = 39, {newest}, 5)")
        assert levels(database, "values_are_usual", value="amount", scale=scale) == found
    make(database, [20] * 41, amount="if(unit > 38, 500, 5)")
    assert levels(database, "values_are_usual", value="amount", scale=scale) == [2]


each_test_of_a_mix = pytest.mark.parametrize(
    ("test", "options"),
    [
        ("nulls_are_usual", {"columns": ["customer"]}),
        ("categories_are_usual", {"column": "channel"}),
        ("distribution_is_usual", {"column": "channel", "kind": "category"}),
        ("distribution_is_usual", {"column": "celsius"}),
        ("values_are_usual", {"value": "celsius"}),
    ],
)
IN_EACH_MINUTE = "started_at + to_seconds(3600 * (place % 24) + 60 * (place // 24))"
"""Times of 480 rows: in each hour of a day, one in each of its first 20 minutes."""


@each_test_of_a_mix
@pytest.mark.parametrize(("is_odd", "is_found"), [("false", False), ("unit = 39", True)])
def test_an_open_day_is_compared_with_the_same_hours_of_other_days(
    database: duckdb.DuckDBPyConnection, test: str, options: dict[str, Any], is_odd: str, is_found: bool
) -> None:
    """At night only the web sells, to guests, and it is colder: that is no finding at six in the morning."""
    is_night = f"(place % 24 < 7) <> ({is_odd})"
    make(
        database,
        [480] * 40,
        sold_at=IN_EACH_MINUTE,
        channel=f"if({is_night}, 'web', if(place % 2 = 0, 'store', 'web'))",
        customer=f"if({is_night}, null, 'C1')",
        celsius=f"if({is_night}, 2, 8) + (place * 37 + unit * 11) % 7 / 10",
    )
    database.execute("delete from events where unit = 39 and place % 24 > 6")
    database.execute(f"update events set channel = 'kiosk' where {is_odd} and place % 24 < 7")
    if test == "nulls_are_usual":  # a night with customers is no finding, and a day without is one
        database.execute(f"update events set customer = if({is_odd}, null, 'C1') where place % 24 < 7")
    assert bool(run_test(database, test, "events", at="sold_at", **options)) is is_found


@each_test_of_a_mix
@pytest.mark.parametrize(("is_odd", "is_found"), [("false", False), ("unit = 38 and place % 24 > 12", True)])
def test_the_end_of_a_day_is_compared_by_the_first_run_of_the_next(
    database: duckdb.DuckDBPyConnection, test: str, options: dict[str, Any], is_odd: str, is_found: bool
) -> None:
    """A run at two in the morning, each night, is the first that sees the afternoon before."""
    make(
        database,
        [480] * 40,
        sold_at=IN_EACH_MINUTE,
        channel=f"if({is_odd}, 'kiosk', 'web')",
        customer=f"if({is_odd}, null, 'C1')",
        celsius=f"if({is_odd}, 8, 2) + hash(1000 * unit + place) % 7 / 10",
    )
    database.execute("delete from events where unit = 39 and place % 24 > 1")
    assert bool(run_test(database, test, "events", at="sold_at", **options)) is is_found


def test_a_category_of_afternoons_is_not_new_in_a_morning(database: duckdb.DuckDBPyConnection) -> None:
    make(
        database,
        [480] * 40,
        sold_at="started_at + to_seconds(3600 * (place % 24))",
        channel="if(place % 24 > 12 or (unit = 39 and place > 100), 'store', 'web')",
    )
    database.execute("delete from events where unit = 39 and place % 24 > 6")
    assert run_test(database, "categories_are_usual", "events", at="sold_at", column="channel") == []


def test_a_sensor_that_is_stuck_or_jumps_is_found_by_its_name(database: duckdb.DuckDBPyConnection) -> None:
    make(
        database,
        [3] * 200,
        timedelta(hours=1),
        unit_id="'U' || place",
        celsius="5 + 0.1 * ((unit * 7919 + place) % 13) + case when place = 1 and unit > 190 then -0.1 * "
        "((unit * 7919 + place) % 13) when place = 2 and unit = 199 then 9 else 0 end",
    )
    found = run_test(
        database, "values_are_usual", "events", at="happened_at", value="celsius", by="unit_id", every="hour"
    )
    assert sorted(row["finding"] for row in found) == [
        "unit_id U1: celsius has been the same for 9 hours up to 2026-01-13 07:00:00",
        "unit_id U2: celsius is 15.0 in the hour of 2026-01-13 07:00:00, and 5.6 was to be expected",
    ]


def test_a_stuck_sensor_is_found_however_many_readings_an_hour_has(database: duckdb.DuckDBPyConnection) -> None:
    """The sum of 24 doubles is rounded otherwise than that of 20, and their mean would differ in its last digit."""
    make(
        database,
        [20 + unit * 7 % 5 for unit in range(200)],
        timedelta(hours=1),
        celsius="if(unit > 180, 3.3, 3 + 0.1 * (unit * 7919 % 13))",
    )
    (found,) = levels(database, "values_are_usual", value="celsius", every="hour", where="true")
    assert found == 1


def test_the_rows_of_a_table_without_times_are_compared_with_those_of_earlier_releases(
    database: duckdb.DuckDBPyConnection,
) -> None:
    """Releases in which it did not change count once, and the tenth release of a day comes after the ninth."""
    make(database, [500])
    database.execute(
        "create table table_profiles (release_name text, table_schema text, table_name text, "
        "rows_hash text, row_count bigint)"
    )
    for number in range(1, 13):
        row = f"('2026-03-02.{number}', 'main', 'events', '{number // 2}', {1000 + number // 2})"
        database.execute(f"insert into table_profiles values {row}, {row.replace('events', 'others')}")
    assert [row["level"] for row in run_test(database, "row_count_is_usual", "events")] == [2]
    assert run_test(database, "row_count_is_usual", "events", warm_up=8) == []
    make(database, [1010])
    assert run_test(database, "row_count_is_usual", "events") == []


def test_a_misspelt_limit_or_cadence_is_refused() -> None:
    with pytest.raises(Refused, match="no limit warn_scor"):
        MACROS["volume_is_usual"](Relation("events"), at="happened_at", limits={"warn_scor": 3})
    with pytest.raises(Refused, match="hour, day, week, month, and not daily"):
        MACROS["volume_is_usual"](Relation("events"), at="happened_at", every="daily")
