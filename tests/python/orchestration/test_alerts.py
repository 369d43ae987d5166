"""Alerts of incidents: once, to the right owner, and once more when they are over; and promises of freshness."""

import json
import logging
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from support.alert_server import AlertServer, alert_server
from support.shop import Shop

from flows.cli.status import show_status
from flows.config.settings import DataFolder
from flows.config.slas import read_slas
from flows.core.clock import utc_now
from flows.core.errors import Finding, GateFailed, RunLocked, SourceFailed, UsageError, WarehouseError
from flows.lake.incidents import open_incidents
from flows.lake.ops import record_run

STALE = {"warn_after": {"count": 24, "period": "hour"}, "error_after": {"count": 3, "period": "day"}}
MODEL = {"resource_type": "model", "schema": "finance"}


def write_manifest(folder: DataFolder, sla: Mapping[str, Any] | None = None) -> None:
    """Write what dbt keeps of a project: a source, a staging model, a mart, a test, and two uses."""
    source, stg, mart = "source.p.sales.orders", "model.p.stg_orders", "model.p.daily_sales"
    manifest = {
        "sources": {
            source: {"source_name": "sales", "name": "orders", "freshness": STALE, "loaded_at_field": "_loaded_at"}
        },
        "nodes": {
            stg: {**MODEL, "name": "stg_orders", "config": {"group": "sales"}, "depends_on": {"nodes": [source]}},
            mart: {**MODEL, "name": "daily_sales", "config": {"group": "finance"}, "depends_on": {"nodes": [stg]}},
            "test.p.positive": {"resource_type": "test", "name": "positive", "attached_node": mart},
        },
        "exposures": {
            "exposure.p.report": {
                "name": "report",
                "owner": {"name": "Board"},
                "depends_on": {"nodes": [mart]},
                "config": {"meta": {"sla": sla} if sla else {}},
            },
            "exposure.p.other": {"name": "other", "owner": {"name": "Board"}, "depends_on": {"nodes": []}},
        },
        "groups": {
            "group.p.sales": {"name": "sales", "owner": {"name": "Sales team"}},
            "group.p.finance": {"name": "finance", "owner": {"name": "Finance department"}},
        },
    }
    folder.target.mkdir(parents=True, exist_ok=True)
    (folder.target / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def folder(flow_home: Path, shop: Shop) -> DataFolder:
    """A set with two records and a manifest."""
    rows = [{"order_id": str(number), "quantity": 1, "updated_at": "2026-03-01 10:00:00"} for number in range(2)]
    shop.drop_rows("1.jsonl", rows)
    shop.load()
    folder = DataFolder.of("test")
    write_manifest(folder)
    return folder


@pytest.fixture
def alerts(monkeypatch: pytest.MonkeyPatch) -> Iterator[AlertServer]:
    """A server to which all alerts go, and those of the Finance department to a place of its own."""
    with alert_server() as server:
        monkeypatch.setenv("ML_WAREHOUSE_ALERTS", server.url("all"))
        monkeypatch.setenv("ML_WAREHOUSE_ALERTS_FINANCE_DEPARTMENT", server.url("finance"))
        yield server


def fail(folder: DataFolder, error: WarehouseError, *loaded: str) -> None:
    from flows.orchestration.incidents import settle_failure

    settle_failure(folder, error, loaded, "--set test")


def succeed(
    folder: DataFolder, *warnings: str | Finding, owner: str = "", loaded: Collection[str] | None = None
) -> None:
    from flows.orchestration.incidents import settle_success

    found = [one if isinstance(one, Finding) else warning(one, owner) for one in warnings]
    settle_success(folder, found, "--set test", loaded)


def warning(text: str, owner: str = "") -> Finding:
    return Finding("daily_sales", text, owner=owner, severity="warn")


def open_tables(folder: DataFolder) -> set[str]:
    return {one.incident.table for one in open_incidents(folder.lake).values()}


def gate(*tables: str) -> GateFailed:
    findings = [Finding(table, "test x: Every amount is positive", 3, ("customer_id=canary-7",)) for table in tables]
    return GateFailed("build", (*findings, Finding("build", "9 nodes after them were not built")), "Look: here.")


def test_two_owners_get_one_message_each_and_one_more_when_it_is_over(folder: DataFolder, alerts: AlertServer) -> None:
    # When a gate finds faults in tables of two owners, in two runs
    fail(folder, gate("daily_sales", "stg_orders"))
    fail(folder, gate("daily_sales", "stg_orders"))

    # Then each owner gets one message, with the next command, and without a row
    (finance,) = alerts.messages("finance")
    assert finance.splitlines() == [
        "test: 1 incident opened",
        "Finance department:",
        "- daily_sales, build gate (error): test x: Every amount is positive, 3 failures",
        "  next: Look: here.",
    ]
    (others,) = alerts.messages("all")
    assert "Sales team:\n- stg_orders, build gate" in others
    assert "canary" not in others + finance

    # And status says what is open, and that the use which reads it is blocked
    assert re.search(
        r"daily_sales, build gate, open for \d seconds, Finance department was notified", show_status(folder)
    )

    # When one is fixed, and a run meets the other alone, then no owner is notified again
    fail(folder, gate("stg_orders"))
    assert not alerts.taken

    # When a run ends well, then both owners are notified that it is over, and no incident is open
    succeed(folder)
    assert ["daily_sales, build gate: resolved" in text for text in alerts.messages("finance")] == [True]
    assert ["stg_orders, build gate: resolved" in text for text in alerts.messages("all")] == [True]
    assert open_incidents(folder.lake) == {}
    succeed(folder)
    assert not alerts.taken


def test_a_warning_of_a_test_is_an_incident_of_less_severity(folder: DataFolder, alerts: AlertServer) -> None:
    succeed(folder, "3 against «Every amount is positive»")
    succeed(folder, "4 against «Every amount is positive»")
    (message,) = alerts.messages("finance")
    assert "daily_sales, warning of a test (warning): 3 against" in message
    assert "flows status --warnings --set test" in message
    succeed(folder)
    assert ["resolved" in text for text in alerts.messages("finance")] == [True]


def test_the_owner_of_a_tolerance_comes_before_that_of_the_table(folder: DataFolder, alerts: AlertServer) -> None:
    succeed(folder, "12 rows, 100 are usual", owner="sales")
    assert [one.incident.owner for one in open_incidents(folder.lake).values()] == ["Sales team"]


def test_each_owner_is_told_of_the_tests_of_a_table_that_are_theirs(folder: DataFolder, alerts: AlertServer) -> None:
    # Given a table of the finance department, of which one test warns
    succeed(folder, "nulls are odd")
    assert len(alerts.messages("finance")) == 1

    # When a test of another owner warns, too
    theirs = warning("12 rows, 100 are usual", "sales")
    succeed(folder, "nulls are odd", theirs)

    # Then that owner alone gets a message, without the text of the other test
    assert alerts.messages("finance") == []
    (message,) = alerts.messages("all")
    assert "12 rows" in message
    assert "nulls are odd" not in message

    # When one of the tests passes, then the other one stays open
    succeed(folder, theirs)
    assert len(alerts.messages("finance")) == 1
    assert [one.incident.owner for one in open_incidents(folder.lake).values()] == ["Sales team"]


def test_a_source_that_is_read_again_is_over_even_if_the_run_fails_later(
    folder: DataFolder, alerts: AlertServer
) -> None:
    fail(folder, SourceFailed("sales.orders", "connection refused", "Look at the server."))
    assert "sales.orders, source failed (error): connection refused" in alerts.messages("all")[0]
    fail(folder, gate("daily_sales"), "sales.orders")
    assert ["sales.orders, source failed: resolved" in text for text in alerts.messages("all")] == [True]
    assert open_tables(folder) == {"daily_sales"}


def test_days_that_are_read_again_leave_the_incidents_of_other_tables(folder: DataFolder, alerts: AlertServer) -> None:
    # Given two sources that failed
    for name in ("crm.customers", "sales.orders"):
        fail(folder, SourceFailed(name, "no answer", "Run again."))
    assert open_tables(folder) == {"crm.customers", "sales.orders"}

    # When a backfill has loaded one of them alone
    succeed(folder, loaded={"crm.customers"})

    # Then the other one is still broken
    assert open_tables(folder) == {"sales.orders"}


@pytest.mark.parametrize(
    "error", [KeyError("canary-7"), duckdb.ConversionException("Conversion Error: canary-7"), OSError(28, "full")]
)
def test_a_job_that_ends_in_an_error_that_nobody_foresaw_is_an_incident(
    folder: DataFolder, alerts: AlertServer, error: Exception
) -> None:
    from flows.orchestration.incidents import job_watched

    with pytest.raises(WarehouseError), job_watched(folder, "scoring", "--set test", is_whole=True):
        raise error
    (message,) = alerts.messages("all")
    assert "scoring (error)" in message
    assert "canary-7" not in message
    with job_watched(folder, "scoring", "--set test", is_whole=True):
        pass
    assert ["scoring: resolved" in text for text in alerts.messages("all")] == [True]


def test_an_alert_that_no_place_takes_is_logged_by_its_host_and_tried_again(
    folder: DataFolder, alerts: AlertServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Given a place that is away
    monkeypatch.setenv("ML_WAREHOUSE_ALERTS_FINANCE_DEPARTMENT", "json://user:s3cret-pass@127.0.0.1:9/s3cret-path")
    with caplog.at_level(logging.DEBUG):
        fail(folder, gate("daily_sales"))
    assert "an alert was not taken by json://127.0.0.1" in caplog.text
    assert "s3cret" not in "".join(record.getMessage() for record in caplog.records if "urllib3" not in record.name)
    assert "Finance department was not notified" in show_status(folder)

    # When it is back, then the next run that fails tells it
    monkeypatch.setenv("ML_WAREHOUSE_ALERTS_FINANCE_DEPARTMENT", alerts.url("finance"))
    fail(folder, gate("daily_sales"))
    fail(folder, gate("daily_sales"))
    assert len(alerts.messages("finance")) == 1


def test_a_message_that_it_is_over_is_tried_again_too(
    folder: DataFolder, alerts: AlertServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an incident of which the owner was notified, and whose place is away when it is over
    fail(folder, gate("daily_sales"))
    assert len(alerts.messages("finance")) == 1
    monkeypatch.setenv("ML_WAREHOUSE_ALERTS_FINANCE_DEPARTMENT", "json://127.0.0.1:9/away")
    succeed(folder)
    assert open_incidents(folder.lake) == {}

    # When the place is back, then the next run tells it, once
    monkeypatch.setenv("ML_WAREHOUSE_ALERTS_FINANCE_DEPARTMENT", alerts.url("finance"))
    succeed(folder)
    succeed(folder)
    assert ["daily_sales, build gate: resolved" in text for text in alerts.messages("finance")] == [True]


def test_a_place_that_fails_beside_one_that_takes_the_alert_is_not_promised_another_try(
    folder: DataFolder, alerts: AlertServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    places = f"json://127.0.0.1:9/away {alerts.url('finance')}"
    monkeypatch.setenv("ML_WAREHOUSE_ALERTS_FINANCE_DEPARTMENT", places)
    fail(folder, gate("daily_sales"))
    assert "not taken by json://127.0.0.1; another place of its owner has it" in caplog.text
    assert "tries again" not in caplog.text


def test_a_message_that_is_too_long_for_a_chat_is_split(
    folder: DataFolder, alerts: AlertServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chats refuse what is longer than they allow, so that no run would ever get the alert through."""
    from apprise.plugins.custom_json import NotifyJSON

    monkeypatch.setattr(NotifyJSON, "body_maxlen", 2000)
    tables = [f"table_{number:02d}" for number in range(40)]
    fail(folder, gate(*tables))
    found = alerts.messages("all")
    assert max(map(len, found)) < 2100
    assert [name for name in tables if name not in "".join(found)] == []


def test_a_warning_that_becomes_an_error_is_told_again(folder: DataFolder, alerts: AlertServer) -> None:
    from flows.orchestration.incidents import settle_drift

    for is_stopped in (False, False, True, True, False):
        settle_drift(folder, {"report": ("it drifts", is_stopped)}, ["report"])
    assert [re.findall(r"\((\w+)\)", text) for text in alerts.messages("all")] == [["warning"], ["error"]]
    settle_drift(folder, {}, ["report"])
    assert len(alerts.messages("all")) == 1


def test_the_drift_of_a_model_that_is_gone_is_over(folder: DataFolder, alerts: AlertServer) -> None:
    from flows.orchestration.incidents import settle_drift

    settle_drift(folder, {"report": ("it drifts", False), "renamed": ("it drifts", False)}, ["report", "renamed"])
    settle_drift(folder, {}, ["other"])
    assert open_tables(folder) == {"report"}


def test_a_use_that_is_called_like_a_table_has_its_own_owner_and_inputs(folder: DataFolder) -> None:
    from flows.orchestration.slas import exposure_states
    from flows.warehouse.project_map import ProjectMap

    # Given a use called like the mart that it reads, beside a source that the mart is not made of
    file = folder.target / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["sources"]["source.p.web.events"] = {"source_name": "web", "name": "events"}
    use = manifest["exposures"]["exposure.p.report"]
    use["name"] = "daily_sales"
    use["depends_on"]["nodes"] += ["source.p.web.events"]
    file.write_text(json.dumps(manifest))

    # When that source cannot be read, then the use is blocked, and is its own owner's
    fail(folder, SourceFailed("web.events", "connection refused", "Look at the server."))
    states = {one.name: one for one in exposure_states(folder, ProjectMap.read(folder), [])}
    assert (states["daily_sales"].state, states["daily_sales"].owner) == ("blocked", "Board")
    assert states["other"].state == "fresh"


def test_a_run_that_met_another_one_is_no_incident(folder: DataFolder, alerts: AlertServer) -> None:
    fail(folder, RunLocked("test", "process 1"))
    assert open_incidents(folder.lake) == {}
    assert not alerts.taken


def test_a_promise_is_watched_without_a_run(
    folder: DataFolder, alerts: AlertServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.orchestration.incidents import settle_promises

    # Given a use with a promise, and a run that ended well
    write_manifest(folder, {"fresh_within": "30h"})
    ended = utc_now()
    record_run(folder.lake, run_id="one", started_at=ended, ended_at=ended, release=None, error=None)
    folder.warehouse.symlink_to(folder.lake)  # a release, as far as status looks
    settle_promises(folder, "--set test")
    assert "2 of 2 are fresh: other, report" in show_status(folder)
    assert not alerts.taken

    # When no run starts for 31 hours
    for place in ("core.terminal", "orchestration.slas"):
        monkeypatch.setattr(f"flows.{place}.utc_now", lambda: ended + timedelta(hours=31))
    settle_promises(folder, "--set test")
    settle_promises(folder, "--set test")

    # Then the owners of source and use are notified once, and status says which use is late
    (message,) = alerts.messages("all")
    assert "Sales team:\n- sales.orders, late (warning): its newest rows arrived 31 hours ago" in message
    assert "Board:\n- report, late (error): last up to date 31 hours ago, 30 hours are promised" in message
    assert "report is late: last up to date 31 hours ago, 30 hours are promised" in show_status(folder)

    # When a run has brought it up to date
    monkeypatch.undo()
    settle_promises(folder, "--set test")
    assert open_incidents(folder.lake) == {}


def test_a_failure_that_lasts_makes_only_the_uses_late_that_read_what_it_holds_back(folder: DataFolder) -> None:
    from flows.orchestration.slas import exposure_states
    from flows.warehouse.project_map import ProjectMap

    def states() -> dict[str, str]:
        return {one.name: one.state for one in exposure_states(folder, ProjectMap.read(folder), [])}

    def ran(hours_ago: float, error: str | None, *held_back: str) -> None:
        at = utc_now() - timedelta(hours=hours_ago)
        run = {"run_id": f"{hours_ago}", "started_at": at, "ended_at": at, "release": None, "error": error}
        record_run(folder.lake, **run, held_back=held_back)  # type: ignore[arg-type]

    # Given two uses that promise a day, and one run that ended well, two days ago
    write_manifest(folder, {"fresh_within": "24h"})
    file = folder.target / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["exposures"]["exposure.p.other"]["config"] = {"meta": {"sla": {"fresh_within": "24h"}}}
    file.write_text(json.dumps(manifest))
    ran(48, None)
    assert states() == {"report": "late", "other": "late"}

    # When a run fails, then no use is fresher for it
    ran(3, "an error")
    assert states() == {"report": "late", "other": "late"}

    # When a run holds a table back, then the use that reads it stays late, and the other one is fresh
    ran(2, "nothing else was new", "stg_orders")
    assert states() == {"report": "late", "other": "fresh"}
    folder.warehouse.symlink_to(folder.lake)  # a release, as far as status looks
    assert "2 hours ago: nothing else was new" in show_status(folder)

    # And the next failure may be of another table
    ran(1, "in part", "web.events")
    assert states() == {"report": "fresh", "other": "fresh"}


def test_runs_that_an_earlier_version_recorded_count_if_they_were_completed(folder: DataFolder) -> None:
    from deltalake import write_deltalake

    from flows.lake.ops import RUNS, newest_runs

    at = utc_now()
    old = pa.schema([column for column in RUNS if column.name not in ("is_whole", "held_back")])
    rows = [{"run_id": "a", "ended_at": at, "outcome": "completed"}, {"run_id": "b", "outcome": "failed"}]
    write_deltalake(str(folder.lake / "ops" / "runs"), pa.Table.from_pylist(rows, schema=old))
    assert newest_runs(folder.lake) == {frozenset(): at}
    record_run(folder.lake, run_id="c", started_at=at, ended_at=at, release=None, error="x", held_back=["a"])
    assert newest_runs(folder.lake) == {frozenset(): at, frozenset({"a"}): at}


@pytest.mark.parametrize(
    ("meta", "text"),
    [
        (
            {"sla": {"fresh_within": "soon"}},
            r"models/x.yml: exposure report: config.meta.sla.fresh_within is 'soon'; wri",
        ),
        ({"sla": {"fresh": "2h"}}, r"config.meta.sla has unknown keys: fresh"),
        ({"sla": {}}, r"config.meta.sla.fresh_within is missing"),
        ({"slas": {"fresh_within": "2h"}}, r"config.meta has the key slas \(did you mean sla\?\)"),
    ],
)
def test_a_promise_that_cannot_be_kept_to_is_refused(meta: dict[str, Any], text: str) -> None:
    exposure = {"name": "report", "original_file_path": "models/x.yml", "config": {"meta": meta}}
    with pytest.raises(UsageError, match=text):
        read_slas([exposure])
