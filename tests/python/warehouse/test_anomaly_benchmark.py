"""The benchmark of anomalies: the table in README.md, and NAB's score by hand."""

import re
import tarfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.config.settings import PROJECT
from tests.benchmarks.anomalies.__main__ import END, START, describe_folder
from tests.benchmarks.anomalies.detector import run_test
from tests.benchmarks.anomalies.injected import CASES, count, generate, judge, load, wilson
from tests.benchmarks.anomalies.windows import score_all

FIRST = datetime(2026, 1, 1)


def series(alarms: set[int], rows: int = 1000) -> list[tuple[datetime, float]]:
    return [(FIRST + timedelta(minutes=row), float(row in alarms)) for row in range(rows)]


WINDOW = [(FIRST + timedelta(minutes=500), FIRST + timedelta(minutes=599))]


def test_the_score_of_a_silent_detector_is_0_and_that_of_an_early_one_nearly_100() -> None:
    assert score_all([(series(set()), WINDOW)]).score == 0
    assert score_all([(series({500}), WINDOW)]).score == pytest.approx(100)


def test_a_late_find_counts_less_and_a_false_alarm_counts_against_it() -> None:
    """A find at the end of a window is worth nearly nothing more than a miss would cost: one half in the end."""
    late = score_all([(series({599}), WINDOW)])
    assert late.score == pytest.approx(50 + 50 * 0.02534, abs=0.1)
    noisy = score_all([(series({200, 500}), WINDOW)])
    assert (noisy.score, noisy.false_alarms) == (pytest.approx(100 - 100 * 0.11 / 2), 1)


def test_rows_of_the_probation_and_of_the_same_incident_do_not_count() -> None:
    assert score_all([(series({10, 500, 501, 502}), WINDOW)]).score == pytest.approx(100)


def test_a_folder_of_series_is_scored_by_its_labels(tmp_path: Path) -> None:
    (tmp_path / "data" / "fridges").mkdir(parents=True)
    lines = [f"{FIRST + timedelta(hours=row)},{5 + row * 7919 % 13 / 10 + 20 * (row == 700)}" for row in range(1000)]
    (tmp_path / "data" / "fridges" / "one.csv").write_text("\n".join(["timestamp,value", *lines]))
    moment = FIRST + timedelta(hours=700)
    (tmp_path / "labels.json").write_text(f'{{"fridges/one.csv": ["{moment}"], "fridges/gone.csv": []}}')
    told = describe_folder(tmp_path)
    assert told.startswith("1 series;")
    assert "(1 of 1 windows, 0 false alarms)" in told


def test_the_interval_of_a_share_is_wilsons() -> None:
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_large_anomalies_are_found_with_fewer_false_alarms_than_by_three_sigma() -> None:
    cases = list(generate(3, 4))
    with duckdb.connect() as database:
        load(database, cases)
        judge(database)
        ours = count(database, cases, "series|anomaly|size", "is_found")
        alarms = [count(database, cases, "anomaly", detector) for detector in ("is_found", "is_found_by_sigma")]
    for anomaly in ("spike | +100 %", "drop | -60 %", "null burst | 1 to 60 %", "stuck values | 10 days"):
        assert ours[f"weekly season | {anomaly}"].found == 4, anomaly
    false_alarms, by_sigma = (sum(one.false_alarms for one in of.values()) for of in alarms)
    assert false_alarms * 4 < by_sigma
    assert 1000 * false_alarms < sum(one.days for one in alarms[0].values())


def test_readme_has_a_row_for_each_planted_anomaly() -> None:
    table = (PROJECT / "README.md").read_text(encoding="utf-8").split(START)[1].split(END)[0]
    missing = [f"| {anomaly} | {size} |" for anomaly, sizes in CASES.items() for size in sizes]
    assert [row for row in missing if row not in table] == []


ORDERS = """
    create table orders as
    select InvoiceNo as order_id, min(cast(InvoiceDate as timestamp)) as ordered_at,
        any_value(CustomerID) as customer_id, any_value(Country) as country,
        sum(Quantity * UnitPrice) as amount, median(UnitPrice) as price
    from read_csv('{files}', union_by_name = true) group by 1
"""
WATCHES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("volume_is_usual", {"last": 28}),
    ("nulls_are_usual", {"columns": ["customer_id"], "last": 28}),
    ("values_are_usual", {"value": "amount", "scale": "log", "where": "amount > 0", "last": 28}),
    ("values_are_usual", {"value": "price", "last": 28}),
    ("categories_are_usual", {"column": "country"}),
    ("distribution_is_usual", {"column": "price"}),
)
ODD = {
    "volume_is_usual": {"2011-04-29": "a royal wedding", "2011-08-29": "a bank holiday"},
    "nulls_are_usual": {"2011-01-28": "51 of 100 invoices are corrections of the stock, without customer and price"},
    "distribution_is_usual": {"2011-04-06": "43 of 89 invoices are corrections of the stock, without a price"},
    "amount": {"2011-06-10": "a posting of 38,970 by hand", "2011-12-09": "one order of 168,469.60"},
    "price": {
        "2011-02-21": "a fee",
        "2011-03-11": "a posting by hand",
        "2011-03-18": "a fee",
        "2011-05-03": "a posting by hand",
        "2011-06-10": "a posting by hand",
        "2011-06-24": "a fee",
        "2011-07-13": "a fee",
        "2011-12-05": "a fee",
    },
}
"""The days that are odd in the files, looked up there, and why."""


@pytest.mark.proof
def test_a_year_of_a_real_shop_gives_no_false_alarm(shared_data: Path, tmp_path: Path) -> None:
    """Each test looks at 28 days at once, or at each fourth day where it takes several days for one."""
    with tarfile.open(shared_data / "online_retail" / "by-day.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    found: dict[str, set[str]] = {}
    with duckdb.connect(config={"threads": "1"}) as database:
        database.execute("set TimeZone = 'UTC'").execute(ORDERS.format(files=tmp_path / "**" / "*.csv"))
        days = [day for (day,) in database.sql("select distinct ordered_at::date from orders order by 1").fetchall()]
        for test, arguments in WATCHES:
            for end in days[:: -1 * arguments.get("last", 4)]:
                seen = f"from orders where ordered_at < date '{end}' + 1 and ordered_at > date '{end}' - 200"
                database.execute(f"create or replace table seen as {seen}")
                for row in run_test(database, test, "seen", at="ordered_at", **arguments):
                    (day,) = re.findall(r"\d{4}-\d\d-\d\d", row["finding"])
                    found.setdefault(arguments.get("value", test), set()).add(day)
    assert found == {name: {*dates} for name, dates in ODD.items()}
