"""Messages of any shape are stored whole, and a mapping extracts their values; bursts, clocks, sensors."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.flow_shop import SET, FlowShop, make_shop
from support.shop import Shop

from flows.config.contract import contracts_of
from flows.ingest.replay import replay_table
from flows.lake.raw import RawTable
from flows.sources.files import table as files

PROJECT = Path(__file__).parents[3]
COLUMNS = ("unit_id", "temperature_celsius", "humidity_pct", "vibration_mm_s", "door_open", "power_watts")

FLAT = {"unit_id": "U1", "ts": "2026-01-05T10:00:00Z", "temperature": 4.5, "humidity": 45.1, "vibration": 1.2,
        "door_open": False, "power": 80.5}  # fmt: skip
NESTED = {"device": {"id": "U2", "firmware": "2.0.7"}, "time": 1767607200,
          "data": {"temp_f": 40.1, "rh": 45.1, "vib": None, "door": "open", "watts": 81}}  # fmt: skip
LISTED = {
    "dev": "U3",
    "taken": "2026-01-05 11:00:00+01:00",
    "sensors": [{"type": "temp", "value": 45}, {"type": "vib", "value": 120}, {"type": "door", "value": 0}],
}
UNFORESEEN = {"unit": {"id": "U4"}, "measured": {"at": "2026-01-05T10:00:00Z", "climate": {"co2": 410}}}
NAMELESS = {"sn": "U5", "when": "2026-01-05T10:00:00Z", "co2": 411}


def contract_node() -> dict[str, Any]:
    """Return the project's contract of equipment.readings, as in dbt's manifest."""
    (source,) = yaml.safe_load((PROJECT / "models/staging/equipment/_equipment__sources.yml").read_text())["sources"]
    (table,) = [table for table in source["tables"] if table["name"] == "readings"]
    columns = {column["name"]: column for column in table["columns"]}
    return {"source_name": "equipment", "name": "readings", "config": table["config"], "columns": columns}


def demo_mapping() -> dict[str, Any]:
    """Return the mapping of the demo's three firmwares in connections.yml."""
    tables = yaml.safe_load((PROJECT / "connections.yml").read_text())["demo"]["equipment"]["tables"]
    return {**tables["readings"], "from": "*.jsonl"}


def declare(shop: Shop, node: dict[str, Any]) -> None:
    (shop.contract,) = contracts_of([node]).values()


@pytest.fixture
def devices(shop: Shop) -> Shop:
    """The project's contract and mapping of readings, and messages of three firmwares."""
    declare(shop, contract_node())
    shop.map(**demo_mapping())
    shop.drop_rows("1.jsonl", [FLAT, NESTED, LISTED])
    return shop


def test_three_firmwares_are_read_by_one_mapping(devices: Shop) -> None:
    # Given flat messages, nested ones in Fahrenheit, and lists of sensors in tenths; when they are loaded, twice
    load, again = devices.load(), devices.load()

    # Then all have one form and one time zone, with the whole message next to it
    assert devices.rows(*COLUMNS) == [
        ("U1", 4.5, 45.1, 1.2, False, 80.5),
        ("U2", 4.5, 45.1, None, True, 81.0),
        ("U3", 4.5, None, 1.2, False, None),
    ]
    assert {str(moment) for moment in devices.rows("read_at")} == {"2026-01-05 10:00:00"}
    assert [json.loads(payload) for payload in devices.rows("payload")] == [FLAT, NESTED, LISTED]
    assert (load.counts.accepted, again.counts.known, load.notes) == (3, 3, ())


def test_a_shape_that_nobody_foresaw_lands_and_its_new_field_takes_one_column(devices: Shop) -> None:
    # Given a fourth firmware, of which the mapping knows only the places of ids and times
    devices.drop_rows("2.jsonl", [UNFORESEEN])
    devices.load()

    # Then the message is stored whole, and the unknown values are null
    assert devices.rows(*COLUMNS, where="unit_id = 'U4'") == [("U4", None, None, None, None, None)]
    assert json.loads(devices.rows("payload", where="unit_id = 'U4'")[0]) == UNFORESEEN

    # When the contract gets one column, and the mapping one line
    node = contract_node()
    node["columns"]["co2_ppm"] = {"name": "co2_ppm", "data_type": "integer"}
    declare(devices, node)
    mapping = demo_mapping()
    mapping["columns"]["co2_ppm"] = "try_cast(_record->>'$.measured.climate.co2' as integer)"
    devices.map(**mapping)
    later = {**UNFORESEEN, "measured": {"at": "2026-01-06T10:00:00Z", "climate": {"co2": 500}}}
    devices.drop_rows("3.jsonl", [later])
    devices.load()

    # Then new rows have the value; stored rows keep null and the message, from which a model extracts it
    assert devices.rows("co2_ppm", where="unit_id = 'U4'") == [None, 500]
    lifted = "coalesce(co2_ppm, json_extract_string(payload, '$.measured.climate.co2')::integer)"
    assert devices.rows(lifted, where="unit_id = 'U4'") == [410, 500]


def test_a_message_without_a_name_waits_in_quarantine_until_the_mapping_knows_it(devices: Shop) -> None:
    # Given a message whose unit and time are in an unknown place
    devices.drop_rows("2.jsonl", [NAMELESS])
    devices.load()
    ((raw, reasons),) = devices.quarantine()
    assert (json.loads(raw), reasons) == (NAMELESS, ["unit_id: is missing", "read_at: is missing"])

    # When the mapping is fixed, and the file is gone
    mapping = demo_mapping()
    mapping["columns"] |= {"unit_id": "_record->>'$.sn'", "read_at": "cast(_record->>'$.when' as timestamptz)"}
    devices.map(**mapping)
    (devices.exports / "2.jsonl").unlink()
    connection = devices.read_connection()
    replayed = replay_table(connection, devices.contract, devices.lake, run_id="a-replay")

    # Then a replay moves the whole message
    assert replayed.counts.accepted == 1
    assert json.loads(devices.rows("payload", where="unit_id = 'U5'")[0]) == NAMELESS
    assert devices.quarantine() == []


def test_the_whole_record_of_any_source_may_be_kept(shop: Shop) -> None:
    # Given files that are not JSON, read column by column and by a query
    shop.declare("shop.items", {"id": "varchar not null", "record": "varchar"}, key=["id"], load="append")
    shop.drop("1.csv", "id,colour,size\n1,red,\n")
    shop.map(**{"from": "*.csv", "columns": {"record": "_record"}})
    load = shop.load()

    # Then the record has all columns as JSON, and no column is reported as additional
    assert [json.loads(record) for record in shop.rows("record")] == [{"id": "1", "colour": "red", "size": None}]
    assert load.notes == ()

    # And if only one column is taken from it, the others are additional columns
    shop.map(**{"from": "*.csv", "columns": {"record": "_record->>'$.colour'"}})
    shop.drop("2.csv", "id,colour,size\n2,blue,9\n")
    assert "new columns" in " ".join(shop.load().notes)
    assert shop.rows("record", "size", where="id = '2'") == [("blue", "9")]


@pytest.mark.slow
def test_fault_57_a_burst_is_read_no_faster_than_it_is_stored(devices: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that was offline sent days of readings at once, out of order and twice: each reading is loaded once (I).

    The load reads in bounded batches, and stores each batch before it reads the next one.
    """
    # Given the backlog of a device that was offline: hundreds of files, some sent twice under another name
    devices.load()
    count, size = 400, 0
    for number in range(count):
        reading = FLAT | {"ts": f"2026-01-{1 + number * 7 % 28:02d}T{number % 24:02d}:{number % 60:02d}:30Z"}
        size += devices.drop_rows(f"burst-{number * 7 % count:03d}.jsonl", [reading]).stat().st_size
        if number % 10 == 0:
            devices.drop_rows(f"again-{number:03d}.jsonl", [reading, reading])

    # When it is loaded in batches of a few files, and each step is recorded
    happened: list[str] = []
    read, append = files.FileTable._read, RawTable.append
    limit = size // 20

    def record_read(table: Any, connection: Any, waiting: list[Any], request: Any) -> Any:
        happened.append("read")
        assert sum(file.size for file in waiting[:-1]) < limit
        return read(table, connection, waiting, request)

    def record_append(*arguments: Any, **named: Any) -> Any:
        happened.append("stored")
        return append(*arguments, **named)

    monkeypatch.setattr(files, "BYTES_A_BATCH", limit)
    monkeypatch.setattr(files.FileTable, "_read", record_read)
    monkeypatch.setattr(RawTable, "append", record_append)
    tracemalloc.start()
    load = devices.load()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    # Then each batch is stored before the next is read, and memory does not grow
    assert len(happened) > 20
    assert happened == ["read", "stored"] * (len(happened) // 2)
    assert peak < 100 * 1024 * 1024

    # And each reading is stored once
    distinct = {(number * 7 % 28, number % 24, number % 60) for number in range(count)}
    assert load.counts.accepted == len(distinct)
    assert devices.load().counts.accepted == 0


@pytest.mark.parametrize(
    ("read_at", "reason"),
    [
        ("1970-01-01T00:12:00Z", "read_at: clock_was_not_reset"),
        ("2000-01-01T00:12:00Z", "read_at: clock_was_not_reset"),
        ("2099-01-01T00:00:00Z", "read_at: lies further ahead than future_tolerance allows"),
    ],
)
def test_fault_57_readings_under_a_clock_that_was_reset_are_set_aside(devices: Shop, read_at: str, reason: str) -> None:
    """A device's clock was reset to 1970 or to 2000, or set ahead: these readings are quarantined with the reason (Q).

    The other readings are loaded, and the number of quarantined ones is reported (A).
    """
    # Given readings of two devices, one of them with a reset clock
    reset = FLAT | {"ts": read_at}
    devices.drop_rows("2.jsonl", [FLAT | {"ts": "2026-01-05T10:15:00Z"}, reset])

    # When they are loaded
    load = devices.load()

    # Then its reading is quarantined as it came, and no other row has a wrong year
    ((raw, reasons),) = devices.quarantine()
    assert (json.loads(raw), reasons) == (reset, [reason])
    assert (load.counts.accepted, load.counts.quarantined) == (4, 1)
    assert {moment.year for moment in devices.rows("read_at")} == {2026}


STUCK_READINGS = {
    "equipment": {
        "tables": {
            "readings": {
                "from": "fridges*.csv",
                "columns": {
                    "unit_id": "Fridge",
                    "read_at": '"Time"',
                    "temperature_celsius": "replace(Celsius, ',', '.')",
                    "humidity_pct": "Humidity",
                    "payload": "_record",
                },
            }
        }
    }
}


def readings_of(unit: str, *, is_stuck: bool) -> list[list[object]]:
    return [
        [unit, f"2026-01-05 {hour:02d}:{minute:02d}", "4,4" if is_stuck else f"4,{hour % 7}", 40 + hour % 9]
        for hour in range(10)
        for minute in (0, 30)
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("unit_tests_passed_before")
def test_fault_57_a_stuck_sensor_is_told_by_its_unit_and_gives_no_number(tmp_path: Path, flow_home: Path) -> None:
    """A sensor was stuck at a healthy temperature while the humidity changed: a warning names unit and quantity (A).

    No published figure contains the stuck values.
    """
    # Given fridges in files with their own columns, one of them with a stuck sensor
    shop: FlowShop = make_shop(tmp_path, flow_home)
    shop.connections.write_text(
        yaml.safe_dump({SET: {"equipment": {"url": f"file:{shop.drops}", **STUCK_READINGS["equipment"]}}})
    )
    rows = [*readings_of("FRIDGE-7", is_stuck=True), *readings_of("FRIDGE-8", is_stuck=False)]
    shop.drop("fridges-1.csv", ["Fridge", "Time", "Celsius", "Humidity"], rows)

    # When the whole flow runs
    outcome = shop.elt()

    # Then a release is published with a warning that names the sensor
    (warning,) = [text for text in outcome.verdict.warnings if "No sensor is stuck" in text]
    assert "unit_id=FRIDGE-7" in warning
    assert "quantity=temperature_celsius" in warning
    assert "FRIDGE-8" not in warning

    # And the stuck values are stored as sent, and counted in no mean
    means = "select unit_id, max(mean_value), max(raw_mean_value) from core.fct_sensor_readings"
    assert shop.rows(f"{means} where quantity = 'temperature_celsius' group by unit_id order by unit_id") == [
        ("FRIDGE-7", None, 4.4),
        ("FRIDGE-8", pytest.approx(4.6, abs=0.1), 4.6),
    ]
    # The features know it from the sixth unchanged hour on
    assert shop.rows("select count(*) from operations.equipment_health where has_stuck_sensor") == [(4,)]
