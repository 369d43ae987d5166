"""One flow run at a time on a data folder; one that died there is shown as crashed, not as running for ever."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, StateType
from prefect.runtime import flow_run
from prefect.states import Crashed

from flows.config.settings import DataFolder
from flows.orchestration.run_lock import run_lock

logger = logging.getLogger(__name__)

OPEN = TaskRunFilterState(type=TaskRunFilterStateType(any_=[kind for kind in StateType if kind not in TERMINAL_STATES]))


@contextmanager
def sole_run(folder: DataFolder) -> Iterator[None]:
    """Hold a data folder for the present flow run; raises RunLocked with the owner's name if another run has it.

    A run that died holding it is closed in Prefect, if Prefect knows of it: the new run goes on either way.
    """
    with run_lock(folder, flow_run.id) as dead:
        if dead is not None and dead.flow_run is not None:
            try:
                with get_client(sync_client=True) as client:
                    _show_crashed(client, UUID(dead.flow_run), f"It died without a word: {dead}.")
            except Exception as error:  # noqa: BLE001 - another server's run, or no server any more
                logger.warning("Prefect still shows the run that died as it was: %s", type(error).__name__)
        yield


def _show_crashed(client: SyncPrefectClient, flow_run_id: UUID, message: str) -> None:
    """Close a flow run with its task runs, and the flow run in whose process it ran."""
    run = client.read_flow_run(flow_run_id)
    if run.state is None or not run.state.is_final():
        client.set_flow_run_state(run.id, Crashed(message=message), force=True)
    within = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
    for task in client.read_task_runs(flow_run_filter=within, task_run_filter=TaskRunFilter(state=OPEN)):
        client.set_task_run_state(task.id, Crashed(message=message), force=True)
    if run.parent_task_run_id is not None and run.deployment_id is None:  # a deployment has a process of its own
        parent = client.read_task_run(run.parent_task_run_id)
        if parent.flow_run_id is not None:
            _show_crashed(client, parent.flow_run_id, message)
