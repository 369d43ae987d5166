"""Task runs of a build in Prefect: one per model, with its tests."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from threading import Lock
from typing import Any
from uuid import UUID, uuid4

from dbt.contracts.graph.manifest import Manifest
from dbt_common.events.base_types import EventMsg
from prefect.client.schemas.objects import State, TaskRun
from prefect.runtime import flow_run, task_run
from prefect.states import Completed, Failed, Running
from prefect.utilities.engine import emit_task_run_state_change_event

from flows.core.redaction import without_values
from flows.warehouse.dbt import GOOD, TESTS, OnEvent, tested_node

logger = logging.getLogger(__name__)
of_task_runs = logging.getLogger("prefect.task_runs")


@contextmanager
def shown_models(manifest: Manifest) -> Iterator[OnEvent]:
    """Yield a callback for dbt that shows each model as a task run of the present flow run; close what is left open.

    dbt calls it from its threads and fails a node whose callback raises, so no error of Prefect may reach dbt.
    """
    runs = ModelRuns(manifest)

    def try_to(show: Callable[..., None], *arguments: object) -> None:
        try:
            show(*arguments)
        except Exception as error:  # noqa: BLE001 - whatever it is, the build is worth more than its picture
            logger.warning("Prefect does not show all of the build: %s", type(error).__name__)

    try:
        yield partial(try_to, runs.see)
    except BaseException:
        try_to(runs.close, True)
        raise
    try_to(runs.close, False)


@dataclass
class Model:
    """A model, seed or snapshot with its tests: nodes to come, nodes at work, results of those that ran."""

    key: str
    name: str
    reads: tuple[str, ...]
    run_id: UUID = field(default_factory=uuid4)
    to_come: set[str] = field(default_factory=set)
    at_work: set[str] = field(default_factory=set)
    results: list[tuple[Any, Any]] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    state: State[Any] | None = None

    @property
    def full_name(self) -> str:
        """The name with the number of tests that ran."""
        tests = sum(node.resource_type in TESTS for node, _ in self.results)
        return f"{self.name} ({tests} test{'' if tests == 1 else 's'})" if tests else self.name

    def outcome(self, is_cut_off: bool) -> State[Any]:
        """Return the state of the model: it failed if one of its nodes failed or did not end.

        A node that never began is a failure only if the build was cut off: a selection leaves nodes out.
        """
        left = self.to_come if is_cut_off else self.at_work
        faults = [_fault(node, result) for node, result in self.results if result.status not in GOOD]
        faults += [f"the build ended before {len(left)} of its nodes did"] if left else []
        if faults:
            return Failed(message="; ".join(faults), timestamp=max(self.times))
        warnings = [node.node_name for node, result in self.results if result.status == "warn"]
        return Completed(message=f"warned by {', '.join(warnings)}" if warnings else None, timestamp=max(self.times))


class ModelRuns:
    """Turns dbt's events of single nodes into events of task runs, which cost less than creating those by the API."""

    def __init__(self, manifest: Manifest) -> None:
        self.models: dict[str, Model] = {}
        self._model_of: dict[str, Model] = {}
        self._lock, self._context, self._is_closed = Lock(), copy_context(), False
        self._flow_run, self._step = flow_run.id, task_run.id
        for node in (*manifest.nodes.values(), *manifest.unit_tests.values()):
            about = tested_node(manifest, node) or node
            model = Model(about.unique_id, about.search_name, tuple(about.depends_on_nodes))
            model = self.models.setdefault(model.key, model)
            model.to_come.add(node.unique_id)
            self._model_of[node.unique_id] = model

    def see(self, event: EventMsg) -> None:
        """Take one of dbt's events; a node that is skipped is never compiled, so it starts nothing."""
        if event.info.name not in ("NodeCompiling", "NodeFinished"):
            return
        node = event.data.node_info
        with self._lock:
            model = self._model_of.get(node.unique_id)
            if model is None or self._is_closed:
                return
            at = event.info.ts.ToDatetime(tzinfo=UTC)
            if event.info.name == "NodeCompiling":
                model.at_work.add(node.unique_id)
                model.times.append(at)
                if model.state is None:
                    self._emit(model, Running(timestamp=at))
                return
            model.to_come.discard(node.unique_id)
            if node.unique_id in model.at_work:
                model.at_work.remove(node.unique_id)
                model.times.append(at)
                model.results.append((node, event.data.run_result))
            if not model.to_come:
                self._end(model)

    def close(self, is_cut_off: bool) -> None:
        """End the models that are left. Threads of an interrupted build may still send events; they are ignored."""
        with self._lock:
            self._is_closed = True
            for model in self.models.values():
                if model.at_work:
                    model.times.append(datetime.now(UTC))
                self._end(model, is_cut_off)

    def _end(self, model: Model, is_cut_off: bool = False) -> None:
        """Show how a model ended, unless it never started or has ended already."""
        if model.state is None or not model.state.is_running():
            return
        self._emit(model, state := model.outcome(is_cut_off))
        if state.message:  # the UI shows a task run's log, not its message
            ids = {"flow_run_id": self._flow_run, "task_run_id": str(model.run_id)}
            of_task_runs.warning(state.message, extra=ids)  # an error of the log is what the run ended by

    def _emit(self, model: Model, state: State[Any]) -> None:
        """Send a model's new state in the flow's context, with the step and the models that it reads."""
        read = [self.models[key].run_id for key in model.reads if key in self.models and self.models[key].times]
        inputs = {"__parents__": [self._step] if self._step else [], "reads": read}
        started_at, seen_at = min(model.times), max(model.times)
        run = TaskRun.model_validate(
            {
                "id": model.run_id,
                "name": model.full_name,
                "flow_run_id": self._flow_run,
                "task_key": model.key,
                "dynamic_key": str(model.run_id),
                "run_count": 1,
                "expected_start_time": started_at,
                "start_time": started_at,
                "end_time": seen_at if state.is_final() else None,
                "total_run_time": seen_at - started_at,
                "task_inputs": {
                    name: [{"input_type": "task_run", "id": key} for key in keys] for name, keys in inputs.items()
                },
            }
        )
        before, model.state = model.state, state
        self._context.copy().run(emit_task_run_state_change_event, run, before, state)


def _fault(node: Any, result: Any) -> str:
    if result.status == "fail":
        return f"{node.node_name}: {result.num_failures:,} failures"
    return f"{node.node_name}: {without_values(result.message)}"
