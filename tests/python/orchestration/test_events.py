"""The events of a run in Prefect, and the trigger in prefect.yaml that starts a flow by them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.flow_shop import bring_prefect_database

from flows.config import settings
from flows.config.settings import DataFolder
from flows.core.names import TableName
from flows.ingest.load import LoadResult
from flows.lake.counts import Counts
from flows.orchestration.server import free_port, serving, wait_for_server


@pytest.fixture
def events(flow_home: Path) -> Any:
    """The module; it imports Prefect, which needs its settings before."""
    from flows.orchestration import events

    return events


def test_a_table_that_took_no_new_rows_is_not_told_of(events: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[Any, ...]] = []
    monkeypatch.setattr(events, "emit_event", lambda *said, **more: told.append((*said, more)))
    orders, lines = TableName("sales", "orders"), TableName("sales", "order_lines")
    events.emit_rows_accepted(
        DataFolder(Path("my_shop")),
        [
            LoadResult(orders, "one", Counts(read=5, duplicate=5), 1, 1),
            LoadResult(lines, "two", Counts(read=5, duplicate=1, known=2), 1, 1, earlier=Counts(read=2, accepted=2)),
        ],
    )
    [(event, resource, more)] = told
    assert event == "ml-warehouse.rows.accepted"
    assert resource["prefect.resource.id"] == "ml-warehouse.table.my_shop.sales.order_lines"
    assert more == {"payload": {"read": 7, "accepted": 2, "quarantined": 0, "known": 2, "duplicate": 1}}


def test_a_run_goes_on_if_prefect_cannot_be_told(events: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(events, "emit_event", fail)
    load = LoadResult(TableName("sales", "orders"), "one", Counts(read=1, accepted=1), 1, 1)
    events.emit_rows_accepted(DataFolder(Path("my_shop")), [load])


def test_prefect_yamls_example_waits_for_what_a_run_tells(events: Any) -> None:
    deployments = yaml.safe_load((settings.PROJECT / "prefect.yaml").read_text())["deployments"]
    [trigger] = next(one["triggers"] for one in deployments if one["name"] == "after-new-orders")
    assert [waited["expect"] for waited in trigger["triggers"]] == [[events.ROWS_ACCEPTED], [events.RELEASE_PUBLISHED]]
    assert trigger["enabled"] is False


@pytest.mark.slow
def test_new_rows_and_a_release_start_the_flow_of_prefect_yamls_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a server like that of `make ui`: a release without new orders starts no run, and one with new orders starts
    one.
    """
    bring_prefect_database(tmp_path)
    monkeypatch.setenv("ML_WAREHOUSE_DATA", str(tmp_path))
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    with serving(port, with_ui=True):
        wait_for_server(url)
        done = subprocess.run(
            [sys.executable, str(Path(__file__).parents[1] / "support" / "trigger_on_server.py")],
            cwd=settings.PROJECT,
            env={**os.environ, "PREFECT_API_URL": url, "PYTHONPATH": str(settings.PROJECT)},
            capture_output=True,
            text=True,
        )
    assert done.stdout == "0 1\n", done.stderr
