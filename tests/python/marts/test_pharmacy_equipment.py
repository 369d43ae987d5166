"""The marts find the planted truth of the pharmacy's fridges: failures, stuck sensors and broken cold chains."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from support.pharmacy_fixtures import Pharmacy

pytest_plugins = ["support.pharmacy_fixtures"]

Row = dict[str, Any]
SLACK = timedelta(minutes=75)
"""The tolerated delay: two readings of the slowest device, and the smoothing by the median."""


def overlaps(row: Row, other: Row) -> bool:
    return bool(
        row["unit_id"] == other["unit_id"]
        and row["started_at"] <= other["ended_at"] + SLACK
        and other["started_at"] <= row["ended_at"] + SLACK
    )


def test_every_failure_is_counted_and_none_else(pharmacy: "Pharmacy") -> None:
    planted = pharmacy.planted("failures")
    counted = pharmacy.rows(
        "select unit_id, failure_count from operations.unit_service_history where failure_count > 0"
    )
    units = {row["unit_id"] for row in planted}
    assert len(planted) > 3
    assert {row["unit_id"]: row["failure_count"] for row in counted} == {
        unit: sum(row["unit_id"] == unit for row in planted) for unit in units
    }


def test_health_tells_how_long_it_was_to_each_failure_and_drifts_before_it(pharmacy: "Pharmacy") -> None:
    hours = pharmacy.rows(
        "select unit_id, hour_at, hours_to_next_failure, temperature_drift_celsius from operations.equipment_health "
        "where hours_to_next_failure is not null"
    )
    for failure in pharmacy.planted("failures"):
        before = {
            round(row["hours_to_next_failure"]): row
            for row in hours
            if row["unit_id"] == failure["unit_id"]
            and row["hour_at"] + timedelta(hours=row["hours_to_next_failure"]) == failure["failed_at"]
        }
        assert len(before) > 20
        assert before[6]["temperature_drift_celsius"] > 0.8


def test_every_stuck_sensor_is_found_at_its_time_and_none_else(pharmacy: "Pharmacy") -> None:
    planted = pharmacy.planted("stuck_sensors")
    found = pharmacy.rows("from operations.sensor_faults where finding = 'stuck'")
    assert len(planted) > 3
    missed = [row for row in planted if not any(match_sensor(row, other) for other in found)]
    invented = [row for row in found if not any(match_sensor(row, other) for other in planted)]
    assert (missed, invented) == ([], [])


def match_sensor(row: Row, other: Row) -> bool:
    return overlaps(row, other) and row["quantity"] == other["quantity"]


def test_every_breach_is_found_and_none_else_and_tells_whether_the_door_was_open(pharmacy: "Pharmacy") -> None:
    planted = pharmacy.planted("cold_chain_breaches")
    found = pharmacy.rows("from operations.cold_chain_breaches")
    assert len(planted) > 10
    missed = [row for row in planted if not any(overlaps(row, other) for other in found)]
    invented = [row for row in found if not any(overlaps(row, other) for other in planted)]
    assert (missed, invented) == ([], [])

    # And each has the true duration and the true cause
    for row in planted:
        (breach,) = [other for other in found if overlaps(row, other)]
        assert abs(breach["started_at"] - row["started_at"]) < SLACK
        assert abs(breach["ended_at"] - row["ended_at"]) < SLACK
        assert breach["is_door_left_open"] == (row["cause"] == "door")


def test_what_a_sensor_sent_is_kept_beside_what_is_believed(pharmacy: "Pharmacy") -> None:
    (counted,) = pharmacy.rows(
        "select count(*) filter (sensor_value = -127) as errors, "
        "count(*) filter (sensor_value = -127 and finding is null) as believed, "
        "max(abs(cleaned_value)) as furthest from core.int_readings_cleaned where quantity = 'temperature_celsius'"
    )
    assert counted["errors"] > 0
    assert counted["believed"] == 0
    assert counted["furthest"] < 30
