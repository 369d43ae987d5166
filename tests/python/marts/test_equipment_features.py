"""Features of equipment never see the future: later loads leave every row as it was, and Python counts the same."""

import random
from collections import defaultdict
from datetime import datetime, timedelta
from statistics import fmean, median
from typing import Any

import pytest
from support.lake_by_hand import Lake, Row, Warehouse

pytest_plugins = ["support.warehouse_fixtures"]

MIDNIGHT = datetime(2026, 3, 1)
HOUR = timedelta(hours=1)
DELAY = timedelta(minutes=15)
"""The default of var feature_delay_minutes."""
ONLY = ("--select", "+equipment_health", "+unit_service_history")
LABELS = "label_state, is_failing_soon, is_in_repair, hours_to_next_failure, label_known_at"
SENSORS = "unit_id, quantity, hour_at, known_at, reading_count, median_value, day_mean_value, drift_value"
Known = dict[tuple[str, str, datetime], tuple[Any, ...]]


class Machines:
    """Two machines that send their readings at once, late, in bursts or never; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lake = Lake()
        self.sent: list[tuple[str, str, datetime, float, datetime]] = []
        """Unit, quantity, time, value, and the time from which it was known."""
        self.waiting: list[Row] = []

    def read(self, day: int, unit: str, quantity: str) -> list[Row]:
        """Return a day's values every twenty minutes, some of them lost, and sometimes stuck for hours."""
        times = [MIDNIGHT + timedelta(days=day, minutes=20 * place + self.random.randint(0, 9)) for place in range(72)]
        stuck = self.random.randint(0, 23)
        return [
            {
                "unit_id": unit,
                "quantity": quantity,
                "read_at": read_at,
                "value": 7 if stuck <= read_at.hour < stuck + 9 else round(self.random.gauss(10 + day, 2), 1),
            }
            for read_at in times
            if self.random.random() < 0.8
        ]

    def load_days(self, first: int, last: int, loaded_at: datetime, jobs: list[Row], moves: list[Row]) -> None:
        """Load days of readings; some of the last days wait for the next load, and jobs come as they are entered."""
        rows = [
            row
            for day in range(first, last)
            for unit in ("U1", "U2")
            for quantity in ("noise_db", "temperature_celsius")
            for row in self.read(day, unit, quantity)
        ]
        waits = [
            row for row in rows if self.random.random() < 0.1 or (row["unit_id"] == "U2" and row["read_at"].hour > 19)
        ]
        now = [row for row in [*self.waiting, *rows] if row not in waits]
        self.waiting = waits
        is_backfill = not self.sent
        self.sent += [
            (
                row["unit_id"],
                row["quantity"],
                row["read_at"],
                row["value"],
                row["read_at"] if is_backfill else max(row["read_at"], loaded_at),
            )
            for row in now
        ]
        self.lake.load(loaded_at, equipment__measurements=now, equipment__maintenance=jobs, equipment__units=moves)


def job(job_id: str, day: float, ended: float | None = None, updated: float | None = None) -> Row:
    return {
        "maintenance_id": job_id,
        "unit_id": "U1",
        "kind": "failure",
        "started_at": MIDNIGHT + timedelta(days=day),
        "ended_at": None if ended is None else MIDNIGHT + timedelta(days=ended),
        "updated_at": MIDNIGHT + timedelta(days=updated or day),
    }


def recount(sent: list[tuple[str, str, datetime, float, datetime]]) -> Known:
    """Return the features by unit, quantity and hour, row by row, from nothing but values and when they were known."""
    sensors: dict[tuple[str, str], list[tuple[datetime, float, datetime]]] = defaultdict(list)
    for unit, quantity, read_at, value, known_at in sent:
        hour = read_at.replace(minute=0) + HOUR
        sensors[unit, quantity].append((hour, value, max(known_at, hour + DELAY)))
    found: Known = {}
    for (unit, quantity), values in sensors.items():
        for hour in {hour for hour, _, _ in values}:
            taken = min(known for other, _, known in values if other == hour)
            known = [(other, value, when) for other, value, when in values if other <= hour and when <= taken]
            mine = [value for other, value, _ in known if other == hour]
            day, before = (mean_of_parts(known, hour - span * HOUR) for span in (0, 72))
            drift = None if day is None or before is None else day - before
            found[unit, quantity, hour] = (taken, len(mine), median(mine), day, drift)
    return found


def mean_of_parts(known: list[tuple[datetime, float, datetime]], last: datetime) -> float | None:
    """Return the mean of the 24 hours up to one, in which values that arrived together count by their median."""
    parts: dict[tuple[datetime, datetime], list[float]] = defaultdict(list)
    for hour, value, when in known:
        if last - 24 * HOUR < hour <= last:
            parts[hour, when].append(value)
    return fmean(median(part) for part in parts.values() for _ in part) if parts else None


def sensor_rows(warehouse: Warehouse) -> Known:
    rows = warehouse.rows(f"select {SENSORS} from operations.sensor_features")
    return {(unit, quantity, hour): tuple(values) for unit, quantity, hour, *values in rows}


def unit_rows(warehouse: Warehouse) -> dict[tuple[str, datetime], tuple[Any, ...]]:
    """Return all features of equipment_health, without its labels."""
    rows = warehouse.rows(f"select unit_id, hour_at, * exclude ({LABELS}) from operations.equipment_health")
    return {(unit, hour): tuple(values) for unit, hour, *values in rows}


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.proof) for seed in (1, 2))])
def test_later_loads_change_no_row_of_features(seed: int, incremental: Warehouse) -> None:
    # Given six days of a first load, and then a load a day with late values, failures that are entered days after they
    # began, corrected and deleted, and a move
    machines = Machines(seed)
    move = {"unit_id": "U1", "site": "Leeds", "updated_at": MIDNIGHT}
    machines.load_days(0, 6, MIDNIGHT + timedelta(days=6, hours=2), [job("F1", 2.5, 3)], [move])
    loads = [
        ([job("F2", 5.3)], []),
        (
            [job("F2", 5.1, 5.4, updated=7), job("F3", 7.5)],
            [{**move, "site": "Lyon", "updated_at": MIDNIGHT + 100 * HOUR}],
        ),
        ([{**job("F2", 5.1, 5.4, updated=7), "_deleted": True}, job("F4", 6.2, 6.3)], []),
    ]
    incremental.build(machines.lake, *ONLY)
    for place, (jobs, moves) in enumerate(loads):
        sensors, units = sensor_rows(incremental), unit_rows(incremental)
        days = place + 6, place + 7
        machines.load_days(*days, MIDNIGHT + timedelta(days=days[1], hours=2, minutes=7), jobs, moves)
        incremental.build(machines.lake, *ONLY)

        # When later loads arrive, then rows are added, and none is changed
        after = sensor_rows(incremental), unit_rows(incremental)
        assert {key: after[0].get(key) for key in sensors} == sensors
        assert {key: after[1].get(key) for key in units} == units
        assert len(after[0]) > len(sensors)

    # And each row has what was known when it was taken, by an independent count
    rows = sensor_rows(incremental)
    expected = recount(machines.sent)
    assert rows.keys() == expected.keys()
    assert {key: tuple(rows[key]) for key in rows} == {
        key: tuple(pytest.approx(value, abs=2e-4) if isinstance(value, float) else value for value in expected[key])
        for key in expected
    }
    # Some values were late, or the test proves little
    assert sum(known > read_at.replace(minute=0) + 40 * HOUR for _, _, read_at, _, known in machines.sent) > 50


def test_a_failure_that_is_entered_late_is_unknown_in_the_hours_before(incremental: Warehouse) -> None:
    # Given a machine that is read and loaded every hour, and a failure at three that is entered at half past five
    lake = Lake()
    for hour in range(9):
        value = {
            "unit_id": "U1",
            "quantity": "noise_db",
            "read_at": MIDNIGHT + hour * HOUR + 50 * DELAY / 15,
            "value": hour,
        }
        failed = [job("F1", 3 / 24)] if hour == 5 else []
        loaded_at = MIDNIGHT + (hour + 1) * HOUR + timedelta(minutes=30 if hour == 4 else 1)
        lake.load(loaded_at, equipment__measurements=[value])
        if failed:
            lake.load(MIDNIGHT + timedelta(hours=5, minutes=30), equipment__maintenance=failed)
    incremental.build(lake, *ONLY)

    # Then the features know of it from the first row that is taken after that time; the label has it from three o'clock
    rows = incremental.rows(
        "select extract(hour from hour_at), hours_since_failure, is_known_in_repair, is_in_repair "
        "from operations.equipment_health order by hour_at"
    )
    assert rows == [
        *((hour, None, False, False) for hour in (1, 2)),
        *((hour, None, False, True) for hour in (3, 4)),
        (5, 2, True, True),
        *((hour, hour - 3, True, True) for hour in (6, 7, 8, 9)),
    ]
