"""The whole flow on a small shop: from files to a release, with a defect for every gate."""

import json
import logging
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from deltalake import DeltaTable
from support import prefect_view
from support.alert_server import alert_server
from support.files import holds
from support.flow_shop import (
    CANARY,
    CLIENTS,
    SALES,
    SET,
    FlowShop,
    command,
    keep_copy,
    leave_out_unit_tests,
    make_shop,
    put_back,
)
from support.small_site import broken_links, parse
from typer.testing import CliRunner

from flows.__main__ import app
from flows.cli.published import describe_table, list_tables
from flows.cli.report import summarise, summarise_failure
from flows.cli.status import list_warnings, show_status
from flows.config import settings
from flows.config.settings import template_folder
from flows.core.errors import GateFailed, RunLocked, SourceFailed, StorageFailed
from flows.core.names import TableName
from flows.lake.raw import RawTable
from flows.lake.snapshot_backup import snapshot_versions
from flows.orchestration.run_lock import run_lock
from flows.orchestration.server import flush_logs_and_events
from flows.warehouse.lake_plugin import Plugin
from flows.warehouse.rebuild import BUILT

HTML = "</script><script>alert(1)</script>"
"""A possible name of a column in a source."""


@pytest.fixture
def shop(tmp_path: Path, flow_home: Path) -> FlowShop:
    shop = make_shop(tmp_path, flow_home)
    shop.drop_day(1)
    shop.drop_day(2)
    return shop


@dataclass(frozen=True)
class FirstRun:
    """The outcome of a shop's first run, a copy of its data folder, and how far its build said it was."""

    outcome: Any
    copy: Path
    progress: list[str]


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory, flow_home: Path) -> FirstRun:
    root = tmp_path_factory.mktemp("published")
    shop = make_shop(root, flow_home)
    shop.drop_day(1)
    shop.drop_day(2)
    shop.drop("clients-0.csv", [*CLIENTS, HTML], [])
    with pytest.MonkeyPatch.context() as patched:
        leave_out_unit_tests(patched)
        progress: list[str] = []
        patched.setattr("flows.warehouse.progress.EVERY_SECONDS", 0.5)
        patched.setattr("flows.warehouse.progress.logger.info", lambda _, told: progress.append(told))
        outcome = shop.elt()
    keep_copy(shop.folder, root / "copy")
    return FirstRun(outcome, root / "copy", progress)


@pytest.fixture
def published(shop: FlowShop, first_run: FirstRun) -> FlowShop:
    put_back(shop.folder, first_run.copy)
    return shop


def test_a_shop_of_another_shape_is_published_and_grows_by_what_is_new(
    published: FlowShop, first_run: FirstRun
) -> None:
    # Given two days of files that a run has loaded
    shop, first = published, first_run.outcome

    # Then all of it is reconciled, built, tested and published
    assert all(load.counts.is_reconciled for load in first.loads)
    assert shop.rows("select count(*) from core.fct_order_lines") == [(120,)]
    assert shop.rows("select min(ordered_at) from core.fct_order_lines")[0][0].hour == 7  # 08:15 in Berlin
    assert first.release.name == shop.release_name
    versions, tests = shop.rows("select raw_versions, tests from release")[0]
    assert set(versions) == {"crm.customers", "shop.products", "sales.orders", "sales.order_lines"}
    assert set(tests.values()) <= {"pass", "warn"}

    # And the docs site of the release has a page for each of its tables, whose links lead to others
    assert broken_links(_site(shop)) == []
    assert first.release.name in shop.folder.docs.read_text()
    lines = shop.folder.docs.parent / "tables" / "core.fct_order_lines.html"
    assert "<dd>120" in lines.read_text()

    # And the run said how far its build was, with all nodes that may have to run, a name and an estimate
    pattern = re.compile(r"build: (\d+) of (\d+) nodes, \w+, about \d+ s left")
    steps = [(int(found[1]), int(found[2])) for told in first_run.progress if (found := pattern.fullmatch(told))]
    assert all(done < total for done, total in steps)
    assert len(steps) > 1
    assert steps == sorted(steps, key=lambda step: step[0])
    assert steps[-1][1] >= first.build.count(*BUILT)

    # And the summary says how much money belongs to clients that no file has
    (orphans,) = [warning for warning in first.warnings if "have no record in" in warning]
    (expected,) = shop.rows(
        "select format('sales.orders: {} of {} records ({:.1f} %) have no record in crm.customers by customer_id: "
        "{:.2f} of {:.2f} EUR', sum(lacking), count(*), 100 * sum(lacking) / count(*), "
        "cast(sum(lacking * net_amount) as double), cast(sum(net_amount) as double)) "
        "from (select *, cast(customer_id in ('0012', '0013') as integer) as lacking "
        "from core.fct_orders where customer_id is not null)"
    )
    assert orphans.startswith(expected[0])

    # And the published file is read without the lake
    lake = shop.folder.lake.rename(shop.folder.lake.with_name("away"))
    assert shop.rows("select sum(net_sales_amount) > 0 from finance.daily_sales") == [(True,)]
    lake.rename(shop.folder.lake)

    # When a third day arrives while a reader has the release open, with a table that no longer has a model
    with duckdb.connect(str(shop.folder.warehouse.resolve())) as connection:
        connection.execute("create table finance.renamed_since as select 1 as one")
        connection.execute("create macro finance.renamed_too() as table (select 1 as one)")
    reader = duckdb.connect(str(shop.folder.warehouse.resolve()), read_only=True)
    shop.drop_day(3)
    second = shop.elt()

    # Then the release and the docs have the unit tests, but they did not run again, since the code is the same
    assert second.verdict.carried_over > len(second.build.passed_before) > 0
    assert not [result for result in second.build.results if result.node.resource_type == "unit_test"]
    assert set(shop.rows("select tests from release")[0][0]) == set(tests)

    # And the docs site is that of the release, though only data have changed
    assert second.release.name in shop.folder.docs.read_text()
    assert '<dd>180 <span class="small">120 before' in lines.read_text()

    # And the tests that warned before are counted, and listed by the command that the summary names
    assert (first.verdict.standing, bool(second.verdict.standing)) == ((), True)
    assert f"    {second.standing}" in summarise(second)
    warned = {name for name, status in shop.rows("select tests from release")[0][0].items() if status == "warn"}
    listed = {line.split(":")[0].strip() for line in list_warnings(shop.folder).splitlines()}
    assert listed - {"in quarantine"} == warned
    assert all(text not in summarise(second) for text in second.verdict.standing)
    assert f"release      {second.release.name}, " in show_status(shop.folder)

    # And only the new day is accepted, and the reader still reads the old release
    counts = {str(load.table): load.counts for load in second.loads}
    assert (counts["sales.order_lines"].accepted, counts["sales.order_lines"].known) == (60, 120)
    assert reader.execute("select count(*) from core.fct_order_lines").fetchall() == [(120,)]
    assert shop.rows("select count(*) from core.fct_order_lines") == [(180,)]
    assert shop.rows("select count(*) from duckdb_tables() where table_name = 'renamed_since'") == [(0,)]
    assert shop.rows("select count(*) from duckdb_functions() where function_name = 'renamed_too'") == [(0,)]
    reader.close()

    # When a further run finds nothing new, then nothing is built or published, and it says so
    shutil.rmtree(shop.folder.lake / "ops" / "snapshots")  # as if the second had been killed before it kept them
    third = shop.elt()
    kept = shop.folder.lake / "ops" / "snapshots" / "customer_segments"
    assert snapshot_versions(kept, {second.release.name}) == {second.release.name: 0}
    assert (third.build.results, third.release, shop.release_name) == ((), None, second.release.name)
    assert third.verdict.carried_over == len(tests)
    assert re.search(r"0 models, seeds and snapshots built, \d{3} unchanged", summarise(third))
    assert "nothing is new, so nothing is published" in summarise(third)


@pytest.mark.proof
def test_a_lost_warehouse_is_built_again_as_it_was_with_the_template_and_without_it(published: FlowShop) -> None:
    # Given a release that has grown by a day
    shop = published
    shop.drop_day(3)
    shop.elt()
    grown = shop.fingerprint()
    history = "select customer_id, segment from history.customer_segments order by all"
    segments = shop.rows(history)

    # When the warehouse is lost, then it begins with the template, keeps most of its models, and is as it was
    shop.folder.warehouse.unlink()
    begun = shop.elt()
    assert len(begun.build.kept("model")) > begun.build.count("model")
    assert shop.fingerprint() == grown
    assert shop.rows(history) == segments

    # When the template is lost too, then all is built again, and is as it was; the lake restores the segment history
    shop.folder.warehouse.unlink()
    template = template_folder().path
    template.rename(away := template.with_name("away"))
    try:
        whole = shop.elt()
    finally:
        away.rename(template)
    assert not whole.build.kept("model")
    assert shop.fingerprint() == grown
    assert shop.rows(history) == segments


def test_broken_gates_publish_nothing(published: FlowShop) -> None:
    # Given a release with damage from outside of the pipeline: a key, a relationship, a total
    before = published.release_name
    with duckdb.connect(str(published.folder.warehouse.resolve())) as connection:
        connection.execute(
            "insert into core.fct_order_lines by name from core.fct_order_lines where order_id = '1-3'; "
            "update core.fct_order_lines set channel = 'pigeon' where order_id = '1-4'; "
            "update core.fct_order_lines set net_amount = net_amount + 1000 where order_id = '1-5' and line_number = 1"
        )

    # When the next run copies it
    with pytest.raises(GateFailed) as failure:
        published.elt()

    # Then each gate names model, test and keys, but no personal value, and readers see the old release
    said = str(failure.value)
    for test, row in (
        ("fct_order_lines__order_id_and_line_number_are_unique", "order_id=1-3, line_number=1"),
        ("fct_order_lines__channel_is_in_dim_channel", "order_id=1-4, line_number=1"),
        ("fct_order_lines__reconciles_to_order_lines", "order_id=1-5"),
    ):
        found = said.partition(f"fct_order_lines: test {test}")[2]
        assert row in found.partition("fct_order_lines: test")[0]
    assert CANARY not in said
    assert published.release_name == before
    assert published.folder.candidate.exists(), "the candidate is set aside for a look"

    # And Prefect shows the model as failed with its tests, earlier ones as completed, and no later ones
    run = prefect_view.latest_run("elt own_shop")
    task_runs = prefect_view.task_runs(run)
    states = {one.name: one.state_name for one in task_runs}
    failed = {name.partition(" (")[0] for name, state in states.items() if state != "Completed"}
    red = {"fct_order_lines", "fct_order_line_changes", "build", "check gates"}
    assert (run.state_name, failed) == ("Failed", red)
    assert set(states.values()) == {"Completed", "Failed"}
    assert "customer_360" not in {name.partition(" (")[0] for name in states}, "it was skipped, so it did not run"

    assert "fct_order_lines__channel_is_in_dim_channel: 2 failures" in prefect_view.logs(str(run.id))

    # And the message is the state of the run and of its steps, and the log's only error, without a traceback
    assert prefect_view.logs(str(run.id), logging.ERROR) == str(failure.value)
    assert {run.state.message, *(one.state.message for one in task_runs if one.name in ("build", "check gates"))} == {
        str(failure.value)
    }
    assert prefect_view.log_entries(str(run.id))[0]["message"] == str(failure.value)
    assert "Traceback" not in prefect_view.logs(str(run.id))
    assert prefect_view.logs(str(run.id)).count("The build gate failed") == 1

    # And an artifact has the failing rows, by their keys
    key, said, rows = prefect_view.artifact(run)
    assert key == "gates-own-shop"
    assert f"{published.folder.candidate}" in said
    assert {
        "model or source": "fct_order_lines",
        "finding": "test fct_order_lines__channel_is_in_dim_channel: Every channel is in dim_channel",
        "failures": 2,
        "failing row": "order_id=1-4, line_number=1",
    } in rows
    _assert_prefect_holds_nothing(CANARY)


def test_prefect_shows_each_model_with_its_tests_and_what_was_loaded(published: FlowShop, first_run: FirstRun) -> None:
    # Given the run that published the shop
    run = prefect_view.flow_run(str(_delta(published, "runs")[0]["run_id"]))
    assert run.state_name == "Completed"
    results = first_run.outcome.build.results
    models = {
        result.node.unique_id: result.node
        for result in results
        if result.node.resource_type in ("model", "seed", "snapshot")
    }

    # Then each model, seed and snapshot that ran is one task run, named with its tests, all of which are counted
    task_runs = prefect_view.task_runs(run)
    shown = {one.task_key: one for one in task_runs if one.task_key in models}
    assert len(shown) == sum(one.task_key in models for one in task_runs) == len(models)
    named = [re.fullmatch(r"([\w.]+)(?: \((\d+) tests?\))?", one.name) for one in task_runs if "." in one.task_key]
    assert {match[1] for match in named} >= {node.name for node in models.values()}
    tests = sum(result.node.resource_type == "test" for result in results)
    assert sum(int(match[2] or 0) for match in named) == tests

    # And each task run ended well, within the run, and after the models that it reads
    for key, one in shown.items():
        assert one.state_name == "Completed", one.name
        assert run.start_time < one.start_time < one.end_time < run.end_time, one.name
        assert one.total_run_time == one.end_time - one.start_time
        for read in set(models[key].depends_on_nodes) & set(shown):
            assert shown[read].start_time < one.start_time, one.name

    # And the counts of the loads are in the artifacts, with the release
    key, said, rows = prefect_view.artifact(run, "loads")
    assert key == "loads-own-shop"
    assert published.release_name in said
    counts = {"read": "120", "accepted": "120", "quarantined": "0", "known": "0", "duplicate": "0"}
    assert {"table": "sales.order_lines"} | counts in [
        {name: cell for name, cell in row.items() if name != "seconds"} for row in rows
    ]


def test_a_batch_out_of_contract_publishes_nothing(published: FlowShop) -> None:
    # Given a file whose quantities are words
    before = published.release_name
    rows = [[f"9-{n}", 1, "2026-01-09 10:00", "", "A1", "many", "2,50", "completed"] for n in range(40)]
    published.drop("sales-9.csv", SALES, rows)

    # When it is loaded
    with pytest.raises(GateFailed) as failure:
        published.elt()

    # Then the error names table, rule and keys, and readers see the old release
    assert "sales.order_lines" in str(failure.value)
    assert "quantity: is no integer: 40 records" in str(failure.value)
    assert "order_id=9-0, line_number=1" in str(failure.value)
    assert published.release_name == before
    runs = _delta(published, "runs")
    assert [row["outcome"] for row in runs] == ["completed", "failed"]

    # And Prefect shows the failed load, and the reason
    run = prefect_view.flow_run(str(runs[-1]["run_id"]))
    states = {one.name: one.state_name for one in prefect_view.task_runs(run)}
    assert states["load sales.order_lines"] == "Failed"
    assert states["load crm.customers"] == "Completed"
    key, _, rows = prefect_view.artifact(run)
    assert key == "gates-own-shop"
    assert "for example order_id=9-0, line_number=1" in [row["failing row"] for row in rows]


@pytest.mark.slow
def test_two_failed_runs_alert_once_and_a_good_one_says_that_it_is_over(
    published: FlowShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sell(pieces: object) -> None:
        rows = [[f"9-{n}", 1, "2026-01-09 10:00", "", "A1", pieces, "2,50", "completed"] for n in range(40)]
        published.drop("sales-9.csv", SALES, rows)

    with alert_server() as server:
        monkeypatch.setenv("ML_WAREHOUSE_ALERTS", server.url("all"))

        # Given a file whose quantities are words, when two runs meet it
        sell("many")
        for _ in range(2):
            with pytest.raises(GateFailed):
                published.elt()

        # Then the owner gets one message, with the next command, and no key or value of a row
        (message,) = server.messages("all")
        assert "Sales team:" in message
        assert "sales.order_lines, contract gate (error): 40 of 40 new records break the contract" in message
        assert "quantity: is no integer: 40 records" in message
        assert "  next: " in message
        assert "9-0" not in message
        assert CANARY not in message

        # When the file is fixed, then the owner gets one message that it is over
        sell(2)
        published.elt()
        assert ["sales.order_lines, contract gate: resolved" in text for text in server.messages("all")] == [True]


@pytest.mark.slow
def test_fault_97_a_failed_run_tells_what_it_has_committed(published: FlowShop) -> None:
    """A load failed while another had loaded rows; the terminal and Prefect have the counts and notes of both: F, A."""
    # Given new customers, one of them bad, that a run loads, and sales that it cannot load
    published.drop("clients-8.csv", [*CLIENTS, "Shoe"], [
        ["0801", "new@example.com", "DE", "2026-01-08 06:00", "42"], ["0802", "new@example.com", "DE", "soon", ""],
    ])  # fmt: skip
    rows = [[f"9-{n}", 1, "2026-01-09 10:00", "", "A1", "many", "2,50", "completed"] for n in range(40)]
    published.drop("sales-9.csv", SALES, rows)

    # When the run fails
    with pytest.raises(GateFailed) as failure:
        published.elt()

    # Then the error hands on what was committed, and what the failed load had committed itself
    failed = failure.value.summary
    loads = {str(load.table): load for load in failed.loads}
    assert (loads["crm.customers"].total.accepted, loads["crm.customers"].total.quarantined) == (1, 1)
    assert loads["sales.orders"].total.accepted == 40
    assert not loads["sales.order_lines"].is_complete
    lines = summarise_failure(failed)
    assert "crm.customers: 1 newly in quarantine" in lines
    assert "sales.order_lines: its load failed after these counts" in lines
    assert "the source has new columns, which the lake keeps: Shoe" in lines
    assert f"--set {SET} --connections {published.connections}" in lines

    # And so does Prefect
    run = prefect_view.flow_run(str(_delta(published, "runs")[-1]["run_id"]))
    _, text, rows = prefect_view.artifact(run, "loads")
    assert "The run failed" in text
    assert "crm.customers: 1 newly in quarantine" in text
    assert {row["table"]: row["accepted"] for row in rows}["sales.orders"] == "40"

    # And what was in quarantine before is told again, though nothing is new
    with pytest.raises(GateFailed) as failure:
        published.elt()
    assert "crm.customers: 1 in quarantine" in summarise_failure(failure.value.summary)


def test_personal_data_stands_in_the_lake_alone(published: FlowShop) -> None:
    # Given a published shop, one of whose customers has a known email address
    # Then it is not in the release's tables, in the docs, in dbt's artifacts or in Prefect's database
    tables = published.rows("select distinct schema_name, table_name from duckdb_tables()")
    for schema, table in tables:
        found = f'select count(*) from "{schema}"."{table}" as t where contains(cast(to_json(t) as varchar), $1)'
        assert published.rows(found, [CANARY]) == [(0,)], f"{schema}.{table}"
    for path, content in published.written_bytes():
        assert CANARY.encode() not in content, path
    _assert_prefect_holds_nothing(CANARY)


def test_the_published_file_describes_itself(published: FlowShop) -> None:
    # Given a published shop, then its file has the format that old clients open, and each column says what it is
    silent = "where not internal and comment is null"
    assert published.rows(f"select table_name from duckdb_tables() {silent}") == []
    assert published.rows(f"select table_name, column_name from duckdb_columns() {silent}") == []
    assert published.rows("select distinct tags['storage_version'] from duckdb_databases() where not internal") == [
        ("v1.2.0+",)
    ]

    # And tables are found by their names alone, functions too, and none of the views reads the lake
    (count,) = published.rows("select count(*) from marketing.customer_360")
    assert published.rows("select count(*) from main.customer_360") == [count]
    assert published.rows("from main.sales_between(date '2027-01-01', date '2027-01-02')") == []
    assert published.rows("select distinct schema_name from duckdb_views() where not internal") == [("main",)]

    # And the commands read all of that from the file
    line = next(line for line in list_tables(published.folder).splitlines() if " customer_360 " in line)
    assert line.split()[:3] == ["marketing", "customer_360", f"{count[0]:,}"]
    assert "Marketing department" in line
    assert line.endswith("?")
    said = describe_table(published.folder, "customer_360")
    assert "crm.customers (20" in said  # the time of its newest load
    assert "rules.segment_rules (never loaded)" in said
    assert re.search("birth_year +integer +birth_date +", said)


def test_fault_58_no_secret_is_written_or_said(
    shop: FlowShop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An unreachable source had its password in URL and token: no file, log or message contains it: F."""
    # Given an unreachable source with a password from the environment
    secret = "correct-horse-canary"
    monkeypatch.setenv("OWN_SHOP_PASSWORD", secret)
    text = shop.connections.read_text()
    start = text.index("  crm:")
    url = "url: \"http://127.0.0.1:9/{{ env_var('OWN_SHOP_PASSWORD') }}/\""
    auth = "auth: {bearer: \"{{ env_var('OWN_SHOP_PASSWORD') }}\"}"
    shop.connections.write_text(
        text[:start] + f"  crm: {{{url}, {auth}, tables: {{customers: {{}}}}}}\n" + text[text.index("  sales:") :]
    )
    monkeypatch.setattr("flows.sources.rest.client.ATTEMPTS", 1)
    monkeypatch.setattr("flows.elt.load.retries", 0)

    # When the run fails
    with pytest.raises(SourceFailed) as failure:
        shop.elt()

    # Then no message, log or file contains the password, including the lake and Prefect's database
    assert secret not in str(failure.value)
    assert secret not in caplog.text
    for root in (shop.folder.path, settings.data_root() / "prefect"):
        for path in root.rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes(), path


@pytest.mark.slow
def test_fault_03_a_kill_in_the_build_leaves_the_release_and_the_next_run_heals(published: FlowShop) -> None:
    """A run was killed with SIGKILL during dbt's build: F, I."""
    # Given new data
    before, release = published.fingerprint(), published.release_name
    file = published.folder.warehouse.resolve().read_bytes()
    published.drop_day(3)

    # When the run is killed during dbt's build
    script = (
        "import os, signal\n"
        "from flows.warehouse.progress import Progress\n"
        "see = Progress.see\n"
        "def kill(self, event):\n"
        "    see(self, event)\n"
        "    if self._done == 25: os.kill(os.getpid(), signal.SIGKILL)\n"
        "Progress.see = kill\n"
        "from flows.elt import elt\n"
        f"elt({SET!r}, {str(published.connections)!r})\n"
    )
    killed = subprocess.run([*command()[:1], "-c", script], cwd=settings.PROJECT, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    dead = prefect_view.latest_run("elt own_shop")
    assert dead.state_name == "Running"

    # Then readers see the unchanged old release, and the next run publishes all new data
    assert published.release_name == release
    assert published.folder.candidate.exists()
    assert not published.folder.candidate.samefile(published.folder.warehouse)
    assert holds(published.folder.warehouse.resolve(), file)
    assert published.fingerprint() == before
    outcome = published.elt()
    assert published.rows("select count(*) from core.fct_order_lines") == [(180,)]
    assert sum(load.counts.accepted for load in outcome.loads) == 0, "what was committed is not loaded again"

    # And Prefect does not show the run as running for ever
    dead = prefect_view.flow_run(str(dead.id))
    assert dead.state_name == "Crashed"
    assert "It died without an error: process" in dead.state.message
    assert {one.state_type.value for one in prefect_view.task_runs(dead)} <= {"COMPLETED", "CRASHED"}


@pytest.mark.slow
def test_a_run_that_is_told_to_stop_in_the_build_is_shown_as_crashed(published: FlowShop) -> None:
    # Given new data
    release = published.release_name
    published.drop_day(3)

    # When the command line gets SIGTERM during dbt's build
    script = (
        "import os, signal, sys\n"
        "from flows.warehouse.progress import Progress\n"
        "see = Progress.see\n"
        "def stop(self, event):\n"
        "    see(self, event)\n"
        "    if self._done == 25 and event.info.name == 'NodeFinished': os.kill(os.getpid(), signal.SIGTERM)\n"
        "Progress.see = stop\n"
        f"sys.argv = ['flows', 'elt', '--set', {SET!r}, '--connections', {str(published.connections)!r}]\n"
        "from flows.__main__ import leave, main\n"
        "leave(main())\n"
    )
    stopped = subprocess.run([*command()[:1], "-c", script], cwd=settings.PROJECT, capture_output=True, text=True)

    # Then it ends with the code of the signal, readers see the old release, and no process is left
    assert stopped.returncode == 128 + signal.SIGTERM, stopped.stderr
    assert published.release_name == release
    run = prefect_view.latest_run("elt own_shop")
    assert run.state_name == "Crashed"
    states = {one.name: one.state_name for one in prefect_view.task_runs(run)}
    assert states["build"] == "Crashed"
    assert set(states.values()) == {"Completed", "Failed", "Crashed"}, states


@pytest.mark.slow
def test_fault_11_a_second_run_is_refused_and_told_whose_lock_it_is(shop: FlowShop) -> None:
    """A second run was started during another one, in the same process and by the command line: F, A."""
    # Given a run that holds the lock of the data folder
    with run_lock(shop.folder):
        # When another is started, in this process or by the command line
        with pytest.raises(RunLocked, match=f"process {os.getpid()}"):
            shop.elt()
        second = subprocess.run(
            command("elt", "--set", SET, "--connections", str(shop.connections)),
            cwd=settings.PROJECT,
            capture_output=True,
            text=True,
        )

    # Then it names the holder, and ends with the exit code of a locked folder
    assert second.returncode == 5
    assert f"process {os.getpid()}" in second.stderr
    assert "Traceback" not in second.stderr


def test_fault_12_the_lock_of_a_run_that_died_is_taken_over(shop: FlowShop) -> None:
    """A process was killed while it held the lock of a data folder: I."""
    # Given a process that was killed while it held the lock
    script = (
        "import sys, time\n"
        "from flows.orchestration.run_lock import run_lock\nfrom flows.config.settings import DataFolder\n"
        f"with run_lock(DataFolder.of({SET!r})):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    holder = subprocess.Popen([*command()[:1], "-c", script], cwd=settings.PROJECT, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    holder.kill()
    holder.wait()
    assert json.loads(shop.folder.lock.read_text())["process"] == holder.pid
    spilled = shop.folder.work / "load-died" / "spill"
    spilled.mkdir(parents=True)

    # Then the next run takes it at once, and deletes the spilled files
    with run_lock(shop.folder):
        assert not spilled.exists()
        assert json.loads(shop.folder.lock.read_text())["process"] == os.getpid()


@pytest.mark.slow
def test_fault_72_a_build_that_nothing_can_stop_is_no_pass(
    published: FlowShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A selection was built that has no tests, and one whose only test merely warns: F."""
    # Given a selection without a test, and one whose only test warns
    release = published.release_name
    for selection in ("stg_shop__product_history", "fct_order_lines__prices_and_quantities_are_of_sales"):
        # Then neither passes
        with pytest.raises(GateFailed, match="none of which can fail"):
            published.elt(select=selection)

    # And a tested selection passes, even if Prefect does not answer, but is not published
    monkeypatch.setattr("flows.orchestration.dbt_task_runs.emit_task_run_state_change_event", _raise_os_error)
    monkeypatch.setattr("flows.orchestration.artifacts.create_table_artifact", _raise_os_error)
    outcome = published.elt(select="dim_channel")
    assert outcome.release is None
    assert outcome.verdict.passed > 0
    assert published.release_name == release


@pytest.mark.slow
def test_an_old_source_fails_the_freshness_gate(published: FlowShop) -> None:
    # Given a contract that promises recent orders, and a lake whose orders arrived a month ago
    release = published.release_name
    _age(published, "sales", "orders")

    # When a run brings no newer orders
    with pytest.raises(GateFailed, match=r"sales\.orders: its newest rows arrived 30\.0 days ago"):
        published.elt()

    # Then readers see the old release
    assert published.release_name == release


@pytest.mark.slow
def test_fault_31_an_empty_full_copy_is_not_fresh(published: FlowShop) -> None:
    """A full copy without rows came from a source whose rows are a month old, and counted as read: F, A."""
    # Given orders of a month ago, and full copies of them
    release = published.release_name
    _age(published, "sales", "orders")
    sources = yaml.safe_load(published.connections.read_text())
    sources[SET]["sales"]["tables"]["orders"]["load"] = "full"
    published.connections.write_text(yaml.safe_dump(sources))

    # When an empty one arrives
    for file in published.drops.glob("sales*.csv"):
        published.drop(file.name, SALES, [])
    with pytest.raises(GateFailed, match=r"sales\.orders: its newest rows arrived 30\.0 days ago"):
        published.elt()

    # Then no release is published
    assert published.release_name == release


def test_a_site_that_cannot_be_written_fails_no_run(
    flow_home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # Given a defect in the writing of pages, whose message quotes a value
    import flows.publish

    def fail(*_: object) -> None:
        raise ZeroDivisionError(CANARY)

    monkeypatch.setattr(flows.publish, "write_site", fail)

    # When the step runs, then it ends well, and the log says that the pages are old, without the value
    flows.publish.generate_docs.__wrapped__(None, None)
    assert "the docs site was not written" in caplog.text
    assert CANARY not in caplog.text


def test_fault_62_a_column_that_is_called_like_html_is_a_name_in_the_docs(published: FlowShop) -> None:
    """A column's name was the end of a script: the docs site of the run has it as a name: I."""
    # Given a release one of whose sources has such a column
    assert HTML in (
        field.name for field in DeltaTable(str(published.folder.lake / "raw/crm/customers")).schema().fields
    )

    # Then the page of its table has it as a text, and no page has it as HTML
    files = _site(published)
    assert HTML in parse(files["sources/crm.customers.html"]).text
    assert not [path for path, text in files.items() if HTML in text]


@pytest.mark.slow
def test_fault_10_a_build_out_of_memory_publishes_nothing(published: FlowShop, monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB's memory was too small for a model: F, A."""
    # Given a build with a very small limit of memory
    release, configure = published.release_name, Plugin.configure_connection

    def configure_small(plugin: Plugin, connection: duckdb.DuckDBPyConnection) -> None:
        configure(plugin, connection)
        connection.execute("set memory_limit = '3MB'")

    monkeypatch.setattr(Plugin, "configure_connection", configure_small)

    # When a mart is built, then the error says so, and readers see the old release
    with pytest.raises(GateFailed, match="Out of Memory Error"):
        published.elt(select="daily_sales")
    assert published.release_name == release
    assert _delta(published, "runs")[-1]["outcome"] == "failed"


@pytest.mark.slow
def test_fault_07_08_a_full_disk_and_a_damaged_release_are_gone_on_from(published: FlowShop) -> None:
    """The disk was full during a build; then the release was truncated, and a full refresh was run: F, A, I."""
    # Given new data, and a disk with hardly more room than the release
    release, file = published.release_name, published.folder.warehouse.resolve()
    history = "select customer_id, segment, dbt_valid_from from history.customer_segments order by all"
    before, segments = published.fingerprint(), published.rows(history)
    published.drop_day(3)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 100_000, limits[1]))

    # When it is run, then the error says so, and readers see the old release
    try:
        with pytest.raises((StorageFailed, GateFailed), match=r"File too large|changes were left in"):
            published.elt()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (published.release_name, published.fingerprint()) == (release, before)

    # And when the release is truncated, then the next run says how to fix it, and does not change it
    cut = file.read_bytes()[: file.stat().st_size // 3]
    file.write_bytes(cut)
    with pytest.raises(StorageFailed, match="python -m flows elt --full-refresh"):
        published.elt()
    assert published.release_name == release
    assert holds(file, cut)
    assert [row["outcome"] for row in _delta(published, "runs")] == ["completed", "failed", "failed"]

    # And a full refresh makes all of it from the lake: the new day, and the published history of segments
    published.elt(full_refresh=True)
    assert published.rows("select count(*) from core.fct_order_lines") == [(180,)]
    assert {*published.rows(history)} >= {*segments}


@pytest.mark.slow
def test_fault_112_113_118_a_damaged_lake_is_told_reloaded_verified_and_published_under_a_new_name(
    published: FlowShop,
) -> None:
    """A data file was cut and a release deleted; then a table was reloaded, and the next release got a name: F, I."""
    # Given a release that says what was verified, and its name
    before, name = published.fingerprint(), published.release_name
    ((verified, versions),) = published.rows("select verified, raw_versions from release")
    assert verified.keys() == versions.keys()
    assert all(state["batches"] == state["batch"] > 0 for state in verified.values())

    # When a file of the lake is cut, then no run gets over it, and readers see what they saw
    cut = next((published.folder.lake / "raw" / "sales" / "order_lines").glob("*.parquet"))
    cut.write_bytes(cut.read_bytes()[:1000])
    for full_refresh in (False, True):
        with pytest.raises(StorageFailed, match=r"python -m flows reload sales\.order_lines") as failure:
            published.elt(full_refresh=full_refresh)
        assert cut.name in str(failure.value)
    assert published.release_name == name
    assert _typed(published, "verify")[0] == 6

    # And once the table is reloaded, and the newest release is deleted, all is published under a name that is new
    code, told = _typed(published, "reload", "sales.order_lines")
    assert (code, "120 accepted" in told) == (0, True), told
    shutil.rmtree(published.folder.releases / name)
    published.folder.warehouse.unlink()
    published.elt()
    assert published.fingerprint() == before
    assert published.release_name.rpartition(".")[0] == name.rpartition(".")[0]
    assert int(published.release_name.rpartition(".")[2]) > int(name.rpartition(".")[2])
    for options in ((), ("--release", published.release_name)):
        code, told = _typed(published, "verify", *options)
        assert (code, "as they were committed" in told) == (0, True), told


def _typed(shop: FlowShop, *arguments: str) -> tuple[int, str]:
    """Run a command in this process; return its exit code and what it said."""
    done = CliRunner().invoke(app, [*arguments, "--set", SET, "--connections", str(shop.connections)])
    return done.exit_code, f"{done.output}{done.exception or ''}"


def test_fault_13_a_run_does_not_begin_anew_where_the_lake_is_gone(
    published: FlowShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lake's volume was not mounted, so that its folder was empty, and then mounted again: F, I."""
    from flows.lake.ops import require_lake

    # Given a release, and a lake that is missing from its place
    away = published.folder.lake.rename(published.folder.lake.with_name("away"))
    published.folder.lake.mkdir()

    # When a run is started, then the error names the missing folder, and no lake is made there
    with pytest.raises(StorageFailed, match="the lake is not there"):
        published.elt()
    assert [*published.folder.lake.iterdir()] == []

    # And when the lake is back, or its new place is set, a run can start
    published.folder.lake.rmdir()
    (published.folder.path / "volume").mkdir()
    away.rename(published.folder.path / "volume" / SET)
    monkeypatch.setenv(settings.LAKE_VARIABLE, str(published.folder.path / "volume"))
    require_lake(published.folder)


def _age(shop: FlowShop, source: str, table: str) -> None:
    """Set the load time of a table's rows to a month ago."""
    month_ago = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=30)
    with duckdb.connect() as connection:
        raw = RawTable(shop.folder.lake, TableName(source, table))
        raw.rewrite(connection, {"_loaded_at": f"timestamp '{month_ago}'"})


def _raise_os_error(*_: object, **__: object) -> None:
    raise OSError("no server")


def _assert_prefect_holds_nothing(of: str) -> None:
    """Search Prefect's database, logs and stored results, after all buffered logs were sent."""
    flush_logs_and_events()
    for path in settings.data_root().joinpath("prefect").rglob("*"):
        assert not path.is_file() or of.encode() not in path.read_bytes(), path


def _site(shop: FlowShop) -> dict[str, str]:
    """Return the files of the docs site by their paths."""
    root = shop.folder.docs.parent
    return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


def _delta(shop: FlowShop, table: str) -> list[dict[str, object]]:
    return sorted(
        DeltaTable(str(shop.folder.lake / "ops" / table)).to_pyarrow_table().to_pylist(),
        key=lambda row: row["started_at"],
    )


@pytest.mark.slow
def test_a_single_model_is_built_in_a_terminal_right_after_a_run(published: FlowShop) -> None:
    # Given a release, and a dev database that was never built
    environment = settings.environment() | {settings.SET_VARIABLE: SET}
    assert not published.folder.dev.exists()

    # When one model that reads others is built and tested in a terminal
    dbt = [str(Path(sys.executable).with_name("dbt")), "build", "--select", "daily_sales"]
    done = subprocess.run(
        [*dbt, "--target-path", str(published.folder.path / "own_target")],
        cwd=settings.PROJECT,
        env=environment,
        capture_output=True,
        text=True,
    )

    # Then it succeeds on a copy of the release, which holds the same rows, and the release is as it was
    assert done.returncode == 0, done.stdout
    with duckdb.connect(str(published.folder.dev), read_only=True) as dev:
        built = dev.execute("select sum(net_sales_amount) from finance.daily_sales").fetchall()
    assert built == published.rows("select sum(net_sales_amount) from finance.daily_sales")
    assert published.rows("select count(*) from release") == [(1,)]
