"""OpenLineage events of a run: what the specification requires of them, and what they say of tables."""

import json
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from flows.config.settings import DataFolder
from flows.core.clock import utc_now
from flows.core.errors import Finding, GateFailed, HeldBack, SourceFailed
from flows.core.names import TableName
from flows.ingest.load import LoadResult
from flows.lake.counts import Counts
from flows.orchestration.open_lineage import Lineage, send_lineage
from flows.warehouse.project_map import ProjectMap

ORDERS, STG, MART = "source.p.sales.orders", "model.p.stg_orders", "model.p.daily_sales"
COLUMNS = {"amount": {"name": "amount", "data_type": "decimal(18, 4)", "description": "Net amount."}}
PROJECT = ProjectMap(
    nodes={
        STG: {"name": "stg_orders", "schema": "staging", "depends_on": {"nodes": [ORDERS]}},
        MART: {
            "name": "daily_sales",
            "schema": "finance",
            "columns": COLUMNS,
            "description": "What was\nearned?",
            "config": {"group": "finance"},
            "depends_on": {"nodes": [STG]},
        },
    },
    sources={ORDERS: {"source_name": "sales", "name": "orders", "columns": COLUMNS}},
    exposures={},
    groups={"group.p.finance": {"name": "finance", "owner": {"name": "Finance department"}}},
)


def require_valid(event: dict[str, Any]) -> None:
    """Require what the specification requires of a run event and of each facet."""
    assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
    assert event["eventType"] in ("START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER")
    assert re.fullmatch(r"https://openlineage\.io/spec/2-0-2/OpenLineage\.json#/\$defs/RunEvent", event["schemaURL"])
    assert event["producer"].startswith("https://")
    UUID(event["run"]["runId"])
    assert event["job"]["namespace"]
    assert event["job"]["name"]
    datasets = [*event["inputs"], *event["outputs"]]
    assert all(one["namespace"] and one["name"] for one in datasets)
    places = [event["run"], event["job"], *datasets]
    facets = [facet for one in places for facet in (one.get("facets") or {}).values()]
    facets += [facet for one in event["outputs"] for facet in (one.get("outputFacets") or {}).values()]
    for facet in facets:
        assert facet["_producer"].startswith("https://")
        assert facet["_schemaURL"].startswith("https://openlineage.io/spec/")


@pytest.fixture
def lineage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lineage:
    monkeypatch.setenv("ML_WAREHOUSE_OPENLINEAGE", str(tmp_path / "events.jsonl"))
    return Lineage(DataFolder(tmp_path / "my_shop"), uuid4(), utc_now(), PROJECT)


def sent(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]


def test_a_runs_loads_models_and_trainings_are_valid_events(lineage: Lineage, tmp_path: Path) -> None:
    # Given a run that has loaded a table, built two models, and trained one
    load = LoadResult(TableName("sales", "orders"), "one", Counts(read=5, accepted=4, quarantined=1), 1, 1)
    built = [
        SimpleNamespace(node=SimpleNamespace(unique_id=key, resource_type="model"), status="success")
        for key in (STG, MART)
    ]

    # When it sends its events
    send_lineage(
        [
            *lineage.of_run("elt", None),
            *lineage.of_loads([load], "elt"),
            *lineage.of_build(built, "elt"),
            lineage.of_training("churn", "daily_sales", True, "elt"),
        ]
    )

    # Then each is valid, and belongs to the run
    events = sent(tmp_path)
    for event in events:
        require_valid(event)
    start, end, *jobs = events
    assert (start["eventType"], end["eventType"], start["run"]["runId"]) == ("START", "COMPLETE", str(lineage.run_id))
    assert {job["run"]["facets"]["parent"]["run"]["runId"] for job in jobs} == {str(lineage.run_id)}
    assert [job["job"]["name"] for job in jobs] == [
        "load.sales.orders", "dbt.stg_orders", "dbt.daily_sales", "train.churn",
    ]  # fmt: skip

    # And the tables lead from the source to the model, with schema, description, owner and counts
    ways = [([one["name"] for one in job["inputs"]], [one["name"] for one in job["outputs"]]) for job in jobs]
    assert ways == [
        (["sales.orders"], ["lake.sales.orders"]),
        (["lake.sales.orders"], ["staging.stg_orders"]),
        (["staging.stg_orders"], ["finance.daily_sales"]),
        (["finance.daily_sales"], ["models.churn"]),
    ]
    assert jobs[0]["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 4
    facets = jobs[2]["outputs"][0]["facets"]
    (column,) = facets["schema"]["fields"]
    assert (column["name"], column["type"], column["description"]) == ("amount", "decimal(18, 4)", "Net amount.")
    assert facets["documentation"]["description"] == "What was earned?"
    assert facets["ownership"]["owners"][0]["name"] == "Finance department"


def test_columns_lead_to_those_that_they_are_made_of(lineage: Lineage, tmp_path: Path) -> None:
    # Given a mart of which one column is traced, one cannot be followed, and the rows depend on a third
    traced = {"amount": [[STG, "amount"], [STG, "discount"]], "note": [["", ""]], "": [[STG, "status"]]}
    built = [SimpleNamespace(node=SimpleNamespace(unique_id=MART, resource_type="model"), status="success")]

    # When the run sends its events
    send_lineage(replace(lineage, columns={MART: traced}).of_build(built, "elt"))

    # Then the traced column names its inputs by table, and the other one is not there
    (event,) = sent(tmp_path)
    require_valid(event)
    facet = event["outputs"][0]["facets"]["columnLineage"]
    named = {
        name: [(one["namespace"], one["name"], one["field"]) for one in column["inputFields"]]
        for name, column in facet["fields"].items()
    }
    staging = ("ml-warehouse.my_shop", "staging.stg_orders")
    assert named == {"amount": [(*staging, "amount"), (*staging, "discount")]}
    assert [(one["name"], one["field"]) for one in facet["dataset"]] == [("staging.stg_orders", "status")]


def test_a_failed_run_says_why(lineage: Lineage, tmp_path: Path) -> None:
    send_lineage(lineage.of_run("elt", SourceFailed("sales.orders", "connection refused", "Look.")))
    end = sent(tmp_path)[-1]
    require_valid(end)
    assert end["eventType"] == "FAIL"
    assert end["run"]["facets"]["errorMessage"]["message"].startswith("sales.orders: connection refused")


def test_a_failed_gate_is_told_without_the_keys_of_rows_and_without_a_path(lineage: Lineage, tmp_path: Path) -> None:
    finding = Finding("daily_sales", "test x: Every amount is positive", 3, ("order_id=canary-7",))
    gate = GateFailed("build", (finding,), "Look: duckdb.connect('/home/ada/data/warehouse.duckdb')")
    for error in (gate, HeldBack((gate,), ("daily_sales",), None)):
        send_lineage(lineage.of_run("elt", error))
        message = sent(tmp_path)[-1]["run"]["facets"]["errorMessage"]["message"]
        assert message == "daily_sales: test x: Every amount is positive found 3 failures"


def test_a_run_goes_on_if_no_server_takes_its_events(
    lineage: Lineage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("ML_WAREHOUSE_OPENLINEAGE", "http://user:s3cret-word@127.0.0.1:9")
    send_lineage(lineage.of_run("elt", None))
    said = [record.getMessage() for record in caplog.records if record.name.startswith("flows")]
    assert [text.startswith("OpenLineage events were not taken") for text in said] == [True]
    assert "s3cret-word" not in "".join(said)
