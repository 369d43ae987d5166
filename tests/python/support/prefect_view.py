"""The records of a run in Prefect, read by the same API as Prefect's UI.

Prefect is imported within the functions: it reads its settings at the import, and the tests set them before.
"""

import json
import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flows.orchestration.server import flush_logs_and_events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun, TaskRun


PAGE = 200


def flow_run(run_id: str) -> "FlowRun":
    """Return a flow run by its id."""
    with _client() as client:
        return client.read_flow_run(UUID(run_id))


def latest_run(name: str) -> "FlowRun":
    """Return the newest flow run of a name."""
    from prefect.client.schemas.sorting import FlowRunSort

    with _client() as client:
        found = client.read_flow_runs(sort=FlowRunSort.EXPECTED_START_TIME_DESC, limit=20)
        return next(run for run in found if run.name == name)


def task_runs(run: "FlowRun") -> list["TaskRun"]:
    """Return the task runs of a flow run in the order of their start, once all have ended and no new one arrives."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    flush_logs_and_events()
    within = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
    deadline = time.monotonic() + 20
    before = -1
    with _client() as client:
        while True:
            shown = [*_pages(lambda at: client.read_task_runs(flow_run_filter=within, limit=PAGE, offset=at))]
            if (shown and len(shown) == before and all(one.end_time for one in shown)) or time.monotonic() > deadline:
                return sorted(shown, key=lambda one: one.start_time or one.expected_start_time)
            before = len(shown)
            time.sleep(0.3)


def _pages(read: "Callable[[int], list[TaskRun]]") -> "Iterator[TaskRun]":
    """Yield all records of the API, which answers 200 at most at a time."""
    at = 0
    while page := read(at):
        yield from page
        at += len(page)


def states(run: "TaskRun") -> list[str]:
    """Return the names of all states of a task run."""
    with _client() as client:
        found = client.read_task_run_states(run.id)
        return [state.name for state in sorted(found, key=lambda state: state.timestamp)]


def artifact(run: "FlowRun", kind: str = "") -> tuple[str, str, list[dict[str, Any]]]:
    """Return key, description and rows of an artifact of a flow run: the one of a kind, or its first by key."""
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

    with _client() as client:
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run.id]))
        )
    shown = min((one for one in found if (one.key or "").startswith(kind or "")), key=lambda one: one.key or "~")
    return shown.key, shown.description, json.loads(shown.data)


def logs(run_id: str, level: int = 0) -> str:
    """Return the log of a flow run, after it was sent, or its entries of a level and above."""
    return "\n".join(entry["message"] for entry in log_entries(run_id) if entry["level"] >= level)


def log_entries(run_id: str) -> list[dict[str, Any]]:
    """Return the entries of the log of a flow run in their order, after they were sent."""
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId

    flush_logs_and_events()
    of_run = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[UUID(run_id)]))
    with _client() as client:
        found = client.request("POST", "/logs/filter", json={"logs": of_run.model_dump(mode="json")}).json()
    return sorted(found, key=lambda entry: str(entry["timestamp"]))


def _client() -> "SyncPrefectClient":
    from prefect.client.orchestration import get_client

    return get_client(sync_client=True)
