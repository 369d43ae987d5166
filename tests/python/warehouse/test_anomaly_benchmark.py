"""The benchmark of anomalies: the table in README.md, and NAB's score by hand."""

from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from flows.config.settings import PROJECT
from tests.benchmarks.anomalies.__main__ import END, START, describe_folder
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
