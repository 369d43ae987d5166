"""Run by a test: deploy the trigger of prefect.yaml's example, emit events of rows and a release, count the runs."""

import sys
import time
from pathlib import Path
from typing import Any

import yaml
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterId
from prefect.events.schemas.deployment_triggers import DeploymentTriggerTypes
from pydantic import TypeAdapter

from flows.config.settings import PROJECT, DataFolder
from flows.core.names import TableName
from flows.ingest.load import LoadResult
from flows.lake.counts import Counts
from flows.orchestration.events import emit_release_published, emit_rows_accepted
from flows.orchestration.server import flush_logs_and_events
from flows.warehouse.release import Release

TRIGGERS: TypeAdapter[Any] = TypeAdapter(DeploymentTriggerTypes)
SECONDS = 60


@flow
def follow() -> None:
    """A placeholder for the flow that the trigger starts; a run of it is created, and no worker runs it."""


@flow
def tell(accepted: int) -> None:
    """Emit the events that elt emits for the set my_shop."""
    folder = DataFolder(Path("my_shop"))
    counts = Counts(read=3, accepted=accepted, known=3 - accepted)
    emit_rows_accepted(folder, [LoadResult(TableName("sales", "orders"), "load", counts, 1, 1)])
    time.sleep(1)  # a build takes longer
    emit_release_published(folder, Release("2026-03-01.1", Path("warehouse.duckdb")))
    flush_logs_and_events()


def deploy(client: SyncPrefectClient) -> Any:
    """Deploy the flow with the example's triggers, switched on; return the deployment's id."""
    deployments = yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]
    example = next(one for one in deployments if one["name"] == "after-new-orders")
    deployment = client.create_deployment(client.create_flow(follow), "after-new-orders")
    for written in example["triggers"]:
        trigger = TRIGGERS.validate_python({**written, "enabled": True, "name": "after-new-orders"})
        trigger.set_deployment_id(deployment)
        client.create_automation(trigger.as_automation())
    return deployment


def runs_of(client: SyncPrefectClient, deployment: Any) -> int:
    """Count the runs of the deployment."""
    only = DeploymentFilter(id=DeploymentFilterId(any_=[deployment]))
    return len(client.read_flow_runs(deployment_filter=only))


if __name__ == "__main__":
    with get_client(sync_client=True) as client:
        deployment = deploy(client)
        time.sleep(2)  # the server reads its automations at intervals
        tell(0)
        time.sleep(2)
        without = runs_of(client, deployment)
        tell(3)
        deadline = time.monotonic() + SECONDS
        while not runs_of(client, deployment) and time.monotonic() < deadline:
            time.sleep(0.2)
        sys.stdout.write(f"{without} {runs_of(client, deployment)}\n")
