"""Prefect's records of a repeated load, of a server that stops, and of a server that is lost.

Flows are imported within the tests: Prefect reads its settings once, when the first flow is made.
"""

import logging
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from support import prefect_view

from flows.config import settings
from flows.core.errors import Finding, GateFailed, RunLocked, SourceFailed, WarehouseError
from flows.core.names import TableName
from flows.ingest.load import LoadResult
from flows.lake.counts import Counts
from flows.orchestration.server import flushing

CUSTOMERS = TableName("crm", "customers")


@pytest.mark.parametrize(
    ("failures", "is_transient", "ended", "gone_through"),
    [
        (1, True, "Completed", ["Pending", "Running", "AwaitingRetry", "Retrying", "Completed"]),
        (9, True, "Failed", ["Pending", "Running", *["AwaitingRetry", "Retrying"] * 2, "Failed"]),
        (1, False, "Failed", ["Pending", "Running", "Failed"]),
    ],
    ids=["heals by itself", "does not heal", "cannot heal"],
)
def test_a_load_shows_every_try(
    flow_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    failures: int,
    is_transient: bool,
    ended: str,
    gone_through: list[str],
) -> None:
    from prefect import flow
    from prefect.runtime import flow_run

    from flows.elt import load

    # Given a source that cannot be read at first
    monkeypatch.setattr(load, "retry_delay_seconds", [0.01, 0.01])
    tries = iter(range(99))

    def read() -> LoadResult:
        if next(tries) < failures:
            raise SourceFailed(str(CUSTOMERS), "it is away", "Wait.", is_transient)
        return LoadResult(
            CUSTOMERS, "a-load", Counts(read=1_200, accepted=1_000, quarantined=150, duplicate=20, known=30), 0.1, 1
        )

    # When it is loaded
    @flow(name="only loads", log_prints=False)
    def only_loads() -> str:
        load.submit(str(CUSTOMERS), read).wait()
        return str(flow_run.id)

    run = only_loads()

    # Then one task run, named for the table, has all of these states
    (shown,) = prefect_view.task_runs(prefect_view.flow_run(run))
    assert shown.name == "load crm.customers"
    assert shown.state_name == ended
    assert prefect_view.states(shown) == gone_through
    said = prefect_view.logs(run)
    counted = "crm.customers: 1,200 read = 1,000 accepted + 150 quarantined + 30 known + 20 duplicate"
    assert (counted in said) == (ended == "Completed")


SEND_AND_STOP = """
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4
from flows.orchestration.server import prefect_server, prepare_prefect, wait_for_server

prepare_prefect()
with prefect_server() as url:
    from prefect.client.schemas.objects import TaskRun
    from prefect.states import Completed, Running
    from prefect.utilities.engine import emit_task_run_state_change_event as tell

    wait_for_server(url)
    for number in range(100):
        task_run = partial(TaskRun, id=uuid4(), task_key=f"key-{number}", dynamic_key="0", start_time=datetime.now(UTC))
        tell(task_run(), None, running := Running())
        tell(task_run(end_time=datetime.now(UTC)), running, Completed())
"""


@pytest.mark.slow
def test_a_server_of_a_runs_own_records_all_that_it_was_told_before_it_stops(tmp_path: Path) -> None:
    # Given a Prefect database
    (tmp_path / "prefect").mkdir()
    made_by_setup = settings.PROJECT / "data" / "prefect" / "prefect.db"
    if made_by_setup.exists():
        shutil.copy(made_by_setup, tmp_path / "prefect")

    # When a run reports many tasks at its end
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ML_", "PREFECT"))}
    sent = subprocess.run(
        [sys.executable, "-c", SEND_AND_STOP],
        cwd=settings.PROJECT,
        capture_output=True,
        text=True,
        env=inherited | {"ML_WAREHOUSE_DATA": str(tmp_path)},
    )
    assert sent.returncode == 0, sent.stderr

    # Then none of them is missing, and none is still running
    with sqlite3.connect(tmp_path / "prefect" / "prefect.db") as database:
        sql = "select state_name, count(*) from task_run where task_key like 'key-%' group by state_name"
        assert database.execute(sql).fetchall() == [("Completed", 100)]


@pytest.mark.parametrize(
    ("came_to", "told"),
    [
        (GateFailed("build", (Finding("fct_order_lines", "test no_price_is_zero", 3),), "Look."), "found 3 failures"),
        (None, r"(?s)Prefect was lost .* http://\*\*\*@prefect\.example/api.*is kept"),
    ],
    ids=["a gate failed", "all went well"],
)
def test_what_a_run_came_to_is_told_even_if_prefect_was_lost(came_to: GateFailed | None, told: str) -> None:
    # Given a run that cannot report its end to Prefect
    lost = httpx.ConnectError("connection refused")
    lost.__context__ = came_to

    # Then it ends with its own result or error, and the log contains no secret
    with (
        pytest.raises(GateFailed if came_to else WarehouseError, match=told),
        flushing("http://someone:password@prefect.example/api"),
    ):
        raise lost


def test_fault_95_an_unforeseen_exception_quotes_nothing_in_prefect(flow_home: Path) -> None:
    """A load and a step raised exceptions that quote a password and a row; Prefect shows kind and place alone: F."""
    from prefect import flow
    from prefect.runtime import flow_run

    from flows.elt import load
    from flows.orchestration.steps import step

    canary = "c4nary-s3cret"

    # Given a load and a step that fail in ways that no code foresaw
    def fail() -> LoadResult:
        try:
            int(canary)
        except ValueError as error:
            raise KeyError(canary) from error
        raise AssertionError

    @flow(name="fails", log_prints=False)
    def fails() -> str:
        load.submit(str(CUSTOMERS), fail).wait()
        with pytest.raises(WarehouseError, match="a step: unforeseen KeyError"):
            step("a step")(fail)()
        return str(flow_run.id)

    # When they run
    run = fails()

    # Then Prefect names the table and the kind, and nothing that the exceptions quote
    shown = prefect_view.logs(run)
    assert "crm.customers: unforeseen KeyError" in shown
    assert canary not in shown
    states = [one.state.message or "" for one in prefect_view.task_runs(prefect_view.flow_run(run))]
    assert len(states) == 2
    assert canary not in str(states)


def test_a_failure_is_a_red_step_and_its_message_the_first_line_of_the_log(flow_home: Path) -> None:
    from prefect import flow

    from flows.orchestration.failures import failure_shown
    from flows.orchestration.steps import step

    # Given a run within another one, in which a step of a step meets an expected error
    met = GateFailed("build", (Finding("fct_orders", "test no_price_is_zero", 3),), "Look.")

    @step("inner")
    def inner() -> None:
        raise met

    @step("outer")
    def outer() -> None:
        inner()

    @flow(name="within", flow_run_name="within", log_prints=False)
    @failure_shown
    def within() -> None:
        step("well")(lambda: None)()
        outer()

    @flow(name="around", flow_run_name="around", log_prints=False)
    @failure_shown
    def around() -> None:
        within()

    # When it runs, then its caller gets the error with its fields
    with pytest.raises(GateFailed) as failure:
        around()
    assert failure.value is met

    # And both runs and both steps are red, and each log begins with the message, and has it once, without a traceback
    for name in ("within", "around"):
        run = prefect_view.latest_run(name)
        assert (run.state_name, run.state.message) == ("Failed", str(met))
        entries = prefect_view.log_entries(str(run.id))
        assert entries[0]["message"] == str(met)
        assert [entry["level"] for entry in entries].count(logging.ERROR) == 1
        said = "".join(entry["message"] for entry in entries)
        assert (said.count("no_price_is_zero"), said.count("Traceback"), said.count("NoneType")) == (1, 0, 0)
    states = {one.name: one.state_name for one in prefect_view.task_runs(prefect_view.latest_run("within"))}
    assert states == {"well": "Completed", "outer": "Failed", "inner": "Failed"}


def test_a_defect_shows_the_places_that_it_came_through(flow_home: Path) -> None:
    from prefect import flow

    from flows.orchestration.failures import failure_shown
    from flows.orchestration.steps import step

    @flow(name="defective", flow_run_name="defective", log_prints=False)
    @failure_shown
    def defective() -> None:
        step("a step")(lambda: [][0])()

    with pytest.raises(WarehouseError, match="unforeseen IndexError"):
        defective()
    (said,) = [
        entry["message"]
        for entry in prefect_view.log_entries(str(prefect_view.latest_run("defective").id))
        if entry["level"] == logging.ERROR
    ]
    assert f"{Path(__file__).name}" in said


def test_a_run_of_a_schedule_that_meets_another_one_waits_and_is_skipped_by_name(
    flow_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect import flow

    from flows.config.settings import DataFolder
    from flows.orchestration import failures, steps
    from flows.orchestration.run_lock import run_lock

    folder = DataFolder(tmp_path / "shop")

    @flow(name="locks", flow_run_name="locks", log_prints=False)
    @failures.failure_shown
    def locks() -> str:
        with steps.flow_lock(folder):
            return "done"

    # Given another run at work, when a person starts one, then it is refused at once
    with run_lock(folder):
        with pytest.raises(RunLocked):
            locks()

        # When a schedule starts one, then it waits, and is skipped in the end
        for place in (failures, steps):
            monkeypatch.setattr(place, "is_scheduled", lambda: True)
        monkeypatch.setattr(steps, "PATIENCE_SECONDS", 0.2)
        monkeypatch.setattr(steps, "WAIT_SECONDS", 0.05)
        locks()
    run = prefect_view.latest_run("locks")
    assert (run.state_type.value, run.state_name) == ("COMPLETED", "Skipped")
    assert "Another run is at work on shop" in run.state.message
    assert "waiting for another run: process " in prefect_view.logs(str(run.id))

    # When the other one has ended, then it runs
    assert locks() == "done"
