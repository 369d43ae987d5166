"""The status of a set: read from its files, quickly, whatever state they are in."""

import json
import os
import re
import resource
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.flow_shop import command
from support.shop import Shop

from flows.cli.status import list_warnings, show_status
from flows.config.settings import PROJECT, DataFolder
from flows.core.clock import utc_now
from flows.core.files import FileState
from flows.core.names import TableName
from flows.lake.ops import record_run
from flows.orchestration.run_lock import run_lock
from flows.warehouse.build import Build, prepare_candidate
from flows.warehouse.node_states import NodeState
from flows.warehouse.release import publish_candidate

STALE = {"warn_after": {"count": 24, "period": "hour"}, "error_after": {"count": 3, "period": "day"}}


def publish(folder: DataFolder, **tests: str) -> None:
    """Publish a release whose tests had this status."""
    prepare_candidate(folder, empty=True)
    with duckdb.connect(str(folder.candidate)) as connection:
        connection.execute("create table if not exists one as select 1 as value")
    states = {name: NodeState(name, name, "test", "", {}, status=status) for name, status in tests.items()}
    build = Build((), "invocation", FileState.of(folder.candidate), 0.0, "code", states)
    publish_candidate(folder, build, {TableName("sales", "orders"): 0})


def promise(folder: DataFolder, **freshness: Any) -> None:
    """Write what dbt keeps of the project: a promise of each source, and a test."""
    sources = {
        name: {"source_name": "sales", "name": name, "freshness": one, "loaded_at_field": "_loaded_at"}
        for name, one in freshness.items()
    }
    node = {"name": "orders__price_is_not_zero", "description": "No price is zero."}
    folder.target.mkdir(parents=True, exist_ok=True)
    (folder.target / "manifest.json").write_text(json.dumps({"sources": sources, "nodes": {"one": node}}))


def ran(folder: DataFolder, hours_ago: float, error: str | None) -> None:
    ended = utc_now() - timedelta(hours=hours_ago)
    run = {"run_id": f"{hours_ago}", "started_at": ended, "ended_at": ended, "release": None, "error": error}
    record_run(folder.lake, **run)  # type: ignore[arg-type]


def said(folder: DataFolder) -> dict[str, list[str]]:
    """Return the texts of a status by their subject."""
    found: dict[str, list[str]] = {}
    for line in show_status(folder).splitlines()[2:]:
        subject = line[2:15].strip() or next(reversed(found))
        found.setdefault(subject, []).append(line[15:])
    return found


@pytest.fixture
def folder(shop: Shop) -> DataFolder:
    """A set with three records, one of them in quarantine, and no release yet."""
    rows = [{"order_id": str(number), "quantity": quantity} for number, quantity in enumerate((1, 2, "many"))]
    shop.drop_rows("1.jsonl", [row | {"updated_at": "2026-03-01 10:00:00"} for row in rows])
    shop.load()
    return DataFolder.of("test")


def test_a_set_without_a_release_says_so(folder: DataFolder) -> None:
    found = said(folder)
    assert "nothing is published yet" in found["release"][0]
    assert found["running"] == ["no run is going on"]
    assert found["late"] == ["unknown: no run has read the contracts yet"]
    assert found["quarantine"][0].startswith("sales.orders: 1 (")


def test_the_release_its_warnings_and_the_last_failure_are_shown(folder: DataFolder) -> None:
    # Given a release with a test that warned, and a run that failed after it
    publish(folder, orders__price_is_not_zero="warn", orders__order_id_is_unique="pass")
    promise(folder)
    ran(folder, 30, "an older failure")
    ran(folder, 3, None)
    ran(folder, 2.5, "sales.orders could not be read:\n  Connection refused " + "x" * 1000)

    # Then its name, age and commit are shown, and the cause of the failure on one line
    found = said(folder)
    name = folder.warehouse.resolve().parent.name
    assert re.match(rf"{name}, \d+ seconds? old, of git commit ", found["release"][0])
    assert found["warnings"][0].startswith("of 1 test of the release (")
    (failure,) = found["failed"]
    assert failure.startswith("2.5 hours ago: sales.orders could not be read: Connection refused xxx")
    assert len(failure) < 500

    # And the warnings are listed on request, each with its sentence
    listed = list_warnings(folder)
    assert "orders__price_is_not_zero: No price is zero." in listed
    assert "order_id_is_unique" not in listed

    # And a failure that is over says so
    ran(folder, 0, None)
    assert said(folder)["failed"][0].startswith("2.5 hours ago, a later run was completed: ")


def test_a_source_is_late_by_its_promise_and_says_whether_a_run_can_publish(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a source that promises a day and fails after three, and others without rows or a promise
    promise(folder, orders=STALE, never_loaded=STALE, order_lines=None)
    assert said(folder)["late"] == ["none of 1 sources with a promise"]

    # When its newest rows are two, then four days old
    now = utc_now()
    for days, further in ((2, ""), (4, ", and no run can publish")):
        for place in ("core.terminal", "orchestration.slas"):
            monkeypatch.setattr(f"flows.{place}.utc_now", lambda days=days: now + timedelta(days=days))
        text = f"sales.orders: its newest rows arrived {days} days ago, 24 hours are promised{further}"
        assert said(folder)["late"] == [text]


def test_a_run_that_goes_on_is_named_and_not_disturbed(folder: DataFolder) -> None:
    # Given a run that holds the lock
    with run_lock(folder):
        (running,) = said(folder)["running"]
    assert running.startswith(f"process {os.getpid()}, ")

    # When it ends, or dies and leaves its name
    assert said(folder)["running"] == ["no run is going on"]
    folder.lock.write_text(json.dumps({"process": 1, "command": "elt", "since": "yesterday"}))
    (dead,) = said(folder)["running"]
    assert dead == "no run is going on; the last one died, and the next one takes over: process 1, elt, since yesterday"

    # Then the next run can take over
    with run_lock(folder):
        pass


def test_a_part_that_is_damaged_is_named_and_the_others_are_shown(folder: DataFolder) -> None:
    # Given a damaged release and a damaged table of runs
    publish(folder)
    ran(folder, 1, "a failure")
    folder.warehouse.resolve().write_bytes(b"nothing of a database" * 1000)
    next((folder.lake / "ops" / "runs" / "_delta_log").glob("*.json")).write_text("{")

    # Then both are named, and the quarantine is still shown
    found = said(folder)
    assert found["release"][0].startswith("cannot be read: ")
    assert found["failed"][0].startswith("cannot be read: ")
    assert found["quarantine"][0].startswith("sales.orders: 1 (")


def test_the_command_is_quick_and_starts_neither_dbt_nor_prefect(folder: DataFolder) -> None:
    # Given a set with a release
    publish(folder)
    promise(folder, orders=STALE)

    # When its status is asked for
    script = (
        "import sys; sys.argv = ['flows', 'status', '--set', 'test']\n"
        "from flows.__main__ import main\n"
        "code = main()\n"
        "print([name for name in ('prefect', 'dbt', 'pandas') if name in sys.modules])\n"
        "sys.exit(code)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    asked = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)

    # Then it took less than 1.5 CPU seconds, and names the set in its next command
    assert asked.returncode == 0, asked.stderr
    assert "set test" in asked.stdout
    assert "quarantine --set test sales.orders" in asked.stdout
    assert asked.stdout.rstrip().endswith("[]")
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.5


def test_versions_are_printed_without_the_engines() -> None:
    asked = subprocess.run(command("--version"), cwd=PROJECT, capture_output=True, text=True)
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.startswith("ml-ready-warehouse ")
    for engine in ("duckdb", "dbt-core", "prefect", "Python"):
        assert f", {engine} " in asked.stdout


def test_the_first_line_of_a_run_comes_before_its_engines(tmp_path: Path) -> None:
    # Given a run whose heavy imports never end
    script = (
        "import sys\n"
        "class Slow:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.split('.')[0] in ('prefect', 'dbt', 'deltalake', 'duckdb'):\n"
        "            sys.stderr.flush(); sys.exit(f'{name} is imported')\n"
        "sys.meta_path.insert(0, Slow())\n"
        "sys.argv = ['flows', 'elt']\n"
        "from flows.__main__ import main\n"
        "sys.exit(main())"
    )
    environment = os.environ | {"ML_WAREHOUSE_DATA": str(tmp_path)}

    # When it starts, then it has said what it does, although nothing of them was imported
    ended = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, env=environment)
    assert ended.stderr.splitlines()[0].endswith("checking connections.yml"), ended.stderr
