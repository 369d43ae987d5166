"""A workshop of another trade: twelve sensors a machine, cold rooms, slow devices, units that no register has."""

import random
from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from dbt.contracts.graph.manifest import Manifest
from support.workshop import Workshop

pytest_plugins = ["support.warehouse_fixtures"]

DAY = datetime(2009, 3, 2)
"""A Monday long before 2010: an archive is as good as today's data."""
QUANTITIES = (
    *("spindle_temperature_celsius", "motor_temperature_celsius", "oil_temperature_celsius", "temperature_celsius"),
    *("cpu_pct", "spindle_load_pct", "oil_pressure_bar", "air_pressure_bar", "noise_db", "speed_rpm"),
    *("vibration_x_mm_s", "vibration_y_mm_s"),
)
MARTS = ("cold_chain_breaches", "sensor_faults", "sensor_monitoring", "unit_service_history", "equipment_health")
LOWEST, HIGHEST, BREACH_MINUTES, RECOVERY_MINUTES, SILENCE_MINUTES = 2, 8, 30, 60, 1440
"""The limits for model * in table cold_chain_limits."""

Reading = tuple[datetime, float]


def at(minutes: float) -> datetime:
    return DAY + timedelta(minutes=minutes)


def series(cadence: float, values: list[float]) -> list[Reading]:
    return [(at(cadence * place), value) for place, value in enumerate(values)]


ROOMS: dict[str, list[Reading]] = {
    "half-hourly": series(30, [5, 5, 15, 15, 5, 5]),
    "slow": series(360, [15] * 28),
    "slow once": series(360, [5, 5, 15, 5, 5]),
    "stray": series(15, [5, 15, 15, 15, 5]),
    "spike": series(15, [5, 5, 15, 5, 5]),
    "early": series(29, [5, 5, 15, 15, 5, 5]),
}
"""Temperatures of cold rooms by their unit; stray is in no register."""
BREACHES = [
    ("early", "breach", at(58), at(87), 29.0),
    ("half-hourly", "breach", at(60), at(90), 30.0),
    ("slow", "breach", at(0), at(9720), 9720.0),
    ("slow once", "cadence too slow", at(720), at(720), 0.0),
    ("stray", "breach", at(15), at(45), 30.0),
]


def value_of(quantity: str, place: int) -> float:
    """Return an honest value of a machine: hot, with spikes of its load, and with changes from reading to reading."""
    if quantity == "cpu_pct":
        return 99 if place % 5 == 0 else 3 + place % 2
    if quantity.endswith("celsius"):
        return 83 + place % 3
    return 100 + place % 7


def make_workshop(folder: Path, manifest: Manifest, *, with_register: bool) -> Workshop:
    """Make and load three machines with twelve sensors each, one of them in no register, and six cold rooms."""
    made = Workshop(folder, manifest)
    made.write_csv(
        "machines.csv",
        [
            {"machine": unit, "sensor": quantity, "taken": at(10 * place), "measured": value_of(quantity, place)}
            for unit in ("mill", "lathe", "press")
            for quantity in QUANTITIES
            for place in range(24)
        ],
    )
    made.map(
        "measurements",
        **{"from": "machines*.csv"},
        columns={"unit_id": "machine", "quantity": "sensor", "read_at": "taken", "value": "measured"},
    )
    made.write_csv(
        "rooms.csv",
        [{"room": unit, "taken": read_at, "celsius": value} for unit, some in ROOMS.items() for read_at, value in some],
    )
    made.map(
        "readings",
        **{"from": "rooms*.csv"},
        columns={"unit_id": "room", "read_at": "taken", "temperature_celsius": "celsius"},
    )
    tickets = [
        ("T1", "mill", "failure", at(90), at(630)),
        ("T2", "mill", "failure", at(120), at(300)),
        ("T3", "mill", "failure", at(1530), at(1590)),
        ("T4", "pump", "service", at(60), None),
    ]
    made.write_database(
        "tickets",
        [
            {"ticket": ticket, "machine": unit, "kind": kind, "began": str(began), "ended": ended and str(ended)}
            for ticket, unit, kind, began, ended in tickets
        ],
    )
    made.map(
        "maintenance",
        source="desk",
        **{"from": "tickets"},
        columns={
            "maintenance_id": "ticket",
            "unit_id": "machine",
            "started_at": "began",
            "ended_at": "ended",
            "updated_at": "began",
        },
    )
    if with_register:
        registered = ("mill", "lathe", *(unit for unit in ROOMS if unit != "stray"))
        made.write_csv("units.csv", [{"unit_id": unit, "site": "Hall 1", "model": "M"} for unit in registered])
        made.map("units", **{"from": "units*.csv"})
    made.load()
    made.build(*MARTS)
    return made


@pytest.fixture(scope="module", params=[True, False], ids=["registered", "without_a_register"])
def workshop(request: pytest.FixtureRequest, manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return make_workshop(tmp_path_factory.mktemp("workshop"), manifest, with_register=request.param)


def is_registered(workshop: Workshop) -> bool:
    return "units" in workshop.tables


def test_a_breach_is_found_at_any_cadence_and_in_units_that_no_register_has(workshop: Workshop) -> None:
    # Given half-hourly and six-hourly readings of 15 degrees, registered or not; then each breach has its time, one
    # value of a slow device has a state of its own, and one value between two others is too short
    found = workshop.rows(
        "select unit_id, breach_state, started_at, ended_at, duration_minutes from operations.cold_chain_breaches "
        f"where unit_id in {tuple(ROOMS)} order by all"
    )
    assert found == BREACHES


def test_a_cadence_that_is_too_slow_for_its_limit_is_reported(workshop: Workshop) -> None:
    states = dict(
        workshop.rows(
            "select unit_id, monitoring_state from operations.sensor_monitoring "
            "where quantity = 'temperature_celsius' and reading_count > 0"
        )
    )
    slow = {unit for unit, state in states.items() if state == "cadence too slow"}
    assert (slow, states["half-hourly"], states["stray"]) == ({"slow", "slow once"}, "watched", "watched")
    assert "sensor_monitoring__sensors_suit_their_limits_and_are_believed" in workshop.warnings


def test_twelve_sensors_of_a_machine_need_no_code(workshop: Workshop) -> None:
    # Given twelve quantities of which the contract of readings has one; then facts and features have all of them
    machines = ("mill", "lathe", "press")
    for table in ("core.fct_sensor_readings", "operations.sensor_features"):
        counted = workshop.rows(
            f"select unit_id, count(distinct quantity), count(*) from {table} where unit_id in {machines} group by all"
        )
        assert sorted(counted) == [(unit, 12, 12 * 4) for unit in sorted(machines)]
    # The noise of the first hour is 100, 101, … 105
    noise = "where unit_id = 'press' and quantity = 'noise_db' order by hour_at limit 1"
    assert workshop.rows(f"select hour_at, raw_mean_value from core.fct_sensor_readings {noise}") == [(at(0), 102.5)]
    assert workshop.rows(
        f"select hour_at, median_value, min_value, max_value from operations.sensor_features {noise}"
    ) == [(at(60), 102.5, 100, 105)]


def test_nothing_of_unknown_equipment_is_called_impossible(workshop: Workshop) -> None:
    # Given 83 degrees, and spikes of a processor; then every value counts, and no sensor has a fault
    assert workshop.rows("from operations.sensor_faults") == []
    assert workshop.rows(
        "select count(*), count(cleaned_value), count(*) filter (possible_value = sensor_value) "
        "from core.int_readings_cleaned where unit_id in ('mill', 'lathe', 'press')"
    ) == [(3 * 12 * 24,) * 3]


def test_two_tickets_of_one_failure_are_one_failure(workshop: Workshop) -> None:
    # Given two tickets that overlap, and a third a day later: repairs of nine hours and of one hour
    history = (
        "select failure_count, mean_hours_between_failures, mean_hours_to_repair, is_in_repair, hours_read "
        "from operations.unit_service_history where unit_id = 'mill'"
    )
    assert workshop.rows(history) == [(2, 24, 5, False, 4)]


def test_units_that_no_register_has_are_in_the_history(workshop: Workshop) -> None:
    registered = dict(workshop.rows("select unit_id, is_registered from operations.unit_service_history"))
    assert registered.keys() == {"mill", "lathe", "press", "pump", *ROOMS}
    missing = {unit for unit, known in registered.items() if not known}
    assert missing == ({"press", "pump", "stray"} if is_registered(workshop) else registered.keys())


def test_a_row_of_the_hour_of_a_failure_holds_nothing_from_after_it(workshop: Workshop) -> None:
    # Given the mill's failure at half past one; then the row of one o'clock is before it, and the next is in repair
    rows = workshop.rows(
        "select hour_at, label_state, is_failing_soon, is_in_repair, hours_to_next_failure, sensor_count "
        "from operations.equipment_health where unit_id = 'mill' order by hour_at"
    )
    assert rows == [
        (at(60), "fails", True, False, 0.5, 12),
        *((at(60 * hour), "in repair", None, True, 25.5 - hour, 12) for hour in (2, 3, 4)),
    ]


def read_at_random(chance: random.Random) -> list[Reading]:
    """Return a few days of readings at a random cadence, with silences, and with walks across both limits."""
    cadence = chance.choice([5, 10, 15, 20, 30, 31, 45, 60, 360])
    minutes, value, readings = 0.0, 5.0, []
    for _ in range(60):
        minutes += cadence + chance.uniform(-0.12, 0.12) * cadence
        if chance.random() < 0.04:
            minutes += chance.choice([70, 400, 2000])
        value = min(13, max(-2, value + chance.uniform(-3, 3)))
        readings.append((at(round(minutes, 2)), round(value, 1)))
    return readings


def recount(readings: list[Reading]) -> list[tuple[str, str, datetime, datetime, int, float]]:
    """Return the breaches of a sensor, reading by reading, as the seed's rules describe them."""
    sides = ["above" if value > HIGHEST else "below" if value < LOWEST else "within" for _, value in readings]
    times = [read_at for read_at, _ in readings]
    intervals = [(later - earlier) / timedelta(minutes=1) for earlier, later in pairwise(times)]
    found = []
    for side in ("above", "below"):
        breach: list[int] = []
        for place in [*(place for place, other in enumerate(sides) if other == side), None]:
            if breach and place is not None:
                minutes = (times[place] - times[breach[-1]]) / timedelta(minutes=1)
                is_next = place == breach[-1] + 1
                if minutes <= RECOVERY_MINUTES or (is_next and minutes <= SILENCE_MINUTES):
                    breach.append(place)
                    continue
            if breach:
                duration = (times[breach[-1]] - times[breach[0]]) / timedelta(minutes=1)
                cadence = max(median(intervals[max(0, n - 2) : n + 2]) for n in breach)
                if duration >= BREACH_MINUTES - 0.1 * min(cadence, BREACH_MINUTES):
                    state = "breach"
                else:
                    state = "cadence too slow" if cadence > BREACH_MINUTES * 1.1 else ""
                found += [(side, state, times[breach[0]], times[breach[-1]], len(breach), duration)] if state else []
            breach = [] if place is None else [place]
    return found


def test_breaches_equal_an_independent_recount(manifest: Manifest, tmp_path: Path) -> None:
    # Given sixty cold rooms with readings at random
    chance = random.Random(1)
    rooms = {f"room-{number}": read_at_random(chance) for number in range(60)}
    workshop = Workshop(tmp_path, manifest)
    rows = [
        {"unit_id": unit, "read_at": at, "temperature_celsius": value} for unit in rooms for at, value in rooms[unit]
    ]
    workshop.write_csv("rooms.csv", rows)
    workshop.map("readings", **{"from": "rooms.csv"})
    workshop.load()

    # When the warehouse is built
    workshop.build("cold_chain_breaches")

    # Then it has the breaches that a loop over the readings finds
    found: dict[str, list[Any]] = defaultdict(list)
    for unit, *breach, duration in workshop.rows(
        "select unit_id, direction, breach_state, started_at, ended_at, reading_count, duration_minutes "
        "from operations.cold_chain_breaches order by unit_id, direction, started_at"
    ):
        found[unit].append((*breach, pytest.approx(duration)))
    assert {unit: recounted for unit in rooms if (recounted := recount(rooms[unit]))} == dict(found)
    states = [breach[1] for breaches in found.values() for breach in breaches]
    assert min(states.count("breach"), states.count("cadence too slow")) > 20
