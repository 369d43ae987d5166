"""Late, repeated and unordered readings: the incremental result is the same as after a full refresh."""

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from support.lake_by_hand import SEEDS, Lake, Row, Warehouse

pytest_plugins = ["support.warehouse_fixtures"]

MIDNIGHT = datetime(2026, 3, 1)
ONLY = ("--select", "+sensor_faults", "+cold_chain_breaches", "+equipment_health", "+unit_service_history")


class Fridges:
    """Two units whose sensors get stuck, jump and stop; readings arrive in any order, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.lake = Lake()
        self.waiting = [self.reading(unit, place) for unit in ("U1", "U2") for place in range(6 * 24 * 2)]
        self.random.shuffle(self.waiting)

    def reading(self, unit: str, place: int) -> Row:
        """Return a reading in one of the half hours of six days; in every second 30 hours, the sensor is stuck."""
        chance, hour = self.random.random(), place // 2
        is_stuck = hour // 30 % 2 == 1
        return {
            "unit_id": unit,
            "read_at": MIDNIGHT + timedelta(minutes=30 * place + self.random.randint(0, 9)),
            "temperature_celsius": -127 if chance < 0.03 else 40 if chance < 0.05 else None if chance < 0.1
            else 4.4 if is_stuck else round(self.random.uniform(3, 10), 1),
            "humidity_pct": None if chance > 0.9 else self.random.randint(40, 42),
            "door_open": self.random.choice([True, False, None]),
        }  # fmt: skip

    def measurements(self, reading: Row) -> list[Row]:
        """Return a noise, and sometimes a humidity that the reading of that time may have as well."""
        sensor = {"unit_id": reading["unit_id"], "read_at": reading["read_at"]}
        noise = {**sensor, "quantity": "noise_db", "value": self.random.choice([None, 40, 41, float("nan"), 1e308])}
        humidity = {**sensor, "quantity": "humidity_pct", "value": 55}
        return [noise, humidity] if self.random.random() < 0.3 else [noise]

    def load(self) -> None:
        """Add another part, some of it repeated with other values, and sometimes a move or a lost history."""
        days = {MIDNIGHT + timedelta(days=self.random.randint(0, 5)) for _ in range(2)}
        part = [row for row in self.waiting if row["read_at"].replace(hour=0, minute=0) in days]
        part = self.random.sample(part, len(part) * 2 // 3)
        self.waiting = [row for row in self.waiting if row not in part]
        known = self.lake.arrived.get("equipment.readings", [])
        again = [{**row, "temperature_celsius": 7.7} for row in self.random.sample(known, min(3, len(known)))]
        moves = [
            {
                "unit_id": "U1",
                "site": self.random.choice(["Leeds", "Lyon"]),
                "model": self.random.choice(["FZ-120", "unknown", None]),
                "updated_at": MIDNIGHT + timedelta(hours=self.random.randint(-9, 150)),
            }
        ]
        started = MIDNIGHT + timedelta(hours=self.random.randint(0, 9))
        ended = self.random.choice([None, started + timedelta(hours=self.random.randint(0, 90))])
        jobs = [{"maintenance_id": "M1", "unit_id": "U1", "kind": "failure", "started_at": started, "ended_at": ended}]
        self.lake.load(
            MIDNIGHT + timedelta(hours=self.random.randint(0, 200)),
            equipment__readings=[*part, *map(strip, again)],
            equipment__measurements=[row for reading in part for row in self.measurements(reading)],
            equipment__units=moves,
            equipment__maintenance=jobs,
        )
        if self.random.random() < 0.2:
            rows = self.lake.arrived["equipment.readings"]
            self.lake.rewrite("equipment.readings", [row for row in rows if self.random.random() < 0.8])


def reading(read_at: datetime) -> Row:
    """Return a reading of one unit at a healthy temperature."""
    return {"unit_id": "U1", "read_at": read_at, "temperature_celsius": 5}


def strip(row: Row) -> dict[str, Any]:
    """Return a repeated reading of a device, without the lake's columns of the first one."""
    return {name: value for name, value in row.items() if not name.startswith("_")}


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_readings_cleaned_incrementally_equal_a_full_refresh(
    seed: int, incremental: Warehouse, full: Warehouse
) -> None:
    # Given units whose readings arrive in any order, across the borders of days
    fridges = Fridges(seed)

    # When one warehouse is built after every load
    for load in range(4):
        fridges.load()
        incremental.build(fridges.lake, *ONLY)

        # Then it equals a warehouse that is built from nothing
        if load % 2 == 1:
            full.build(fridges.lake, "--full-refresh", *ONLY)
            assert incremental.differences(full) == {}


def test_a_day_that_is_not_near_what_arrived_is_not_cleaned_again(incremental: Warehouse) -> None:
    # Given a unit with readings of five days, with a mark on every reading
    lake = Lake()
    lake.load(
        MIDNIGHT,
        equipment__readings=[reading(MIDNIGHT + timedelta(days=day)) for day in range(5)],
    )
    incremental.build(lake, *ONLY)
    with incremental.connect() as warehouse:
        warehouse.execute("update core.int_readings_cleaned set sensor_value = 99")

    # When a reading of the last day arrives
    lake.load(MIDNIGHT, equipment__readings=[reading(MIDNIGHT + timedelta(days=4, hours=1))])
    incremental.build(lake, *ONLY)

    # Then that day and the one before lose the mark, and the others keep it
    marked = incremental.rows("select distinct read_at, sensor_value from core.int_readings_cleaned order by all")
    assert [value for _, value in marked] == [99, 99, 99, 5, 5, 5]
