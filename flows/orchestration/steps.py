"""Steps of a flow as Prefect tasks, and the record of a run in the lake."""

import atexit
import logging
import os
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast
from uuid import UUID, uuid4

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.config.connections import Connections
from flows.config.settings import DataFolder, lineage_place
from flows.core.clock import utc_now
from flows.core.errors import Finding, HeldBack, RunLocked, Unforeseen, WarehouseError
from flows.core.redaction import scrub
from flows.core.storage import recording
from flows.core.unforeseen import describe_unforeseen, exceptions_named
from flows.ingest.load import LoadResult
from flows.lake.ops import record_run
from flows.orchestration.failures import failed, is_scheduled, result_of
from flows.orchestration.incidents import settle_failure, settle_held, settle_success
from flows.orchestration.open_lineage import Lineage, send_lineage
from flows.orchestration.run_lock import run_lock
from flows.warehouse.project_map import ProjectMap

if TYPE_CHECKING:  # dbt takes seconds to import
    from flows.warehouse.build import Build
    from flows.warehouse.gates import Verdict

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

RUNNER: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=2)
"""Loads wait for each other's disk more than for a core: two at a time is what two cores gain from."""

PATIENCE_SECONDS, WAIT_SECONDS = 1_800.0, 2.0
"""How long a run of a schedule waits for the run that has its data folder, and how often it tries meanwhile."""


def step(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a task that the UI shows by this name.

    Its arguments are bound before Prefect sees them: it would hash them and walk through all of dbt's manifest. An
    expected error makes the task red, and is raised again where the step is called.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @task(name=name, task_run_name=name, cache_policy=NO_CACHE)
        def run(call: Callable[[], R]) -> R:
            try:
                with exceptions_named(name):
                    return call()
            except WarehouseError as error:
                return cast(R, failed(error))

        @wraps(function)
        def bound(*args: P.args, **options: P.kwargs) -> R:
            return result_of(run(partial(function, *args, **options)))

        return bound

    return decorate


@contextmanager
def flow_lock(folder: DataFolder) -> Iterator[None]:
    """Hold a data folder for the present flow run; raises RunLocked if another run has it.

    A run that a schedule or a trigger started waits for its turn first: one run at a time writes.
    """
    deadline = time.monotonic() + (PATIENCE_SECONDS if is_scheduled() else 0)
    waits_for = ""
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(run_lock(folder, flow_run.id))
                break
            except RunLocked as locked:
                if time.monotonic() >= deadline:
                    raise
                if locked.owner != waits_for:
                    logger.info("waiting for another run: %s", waits_for := locked.owner)
                time.sleep(WAIT_SECONDS)
        yield


class RecordedRun:
    """Records a run in the lake's ops/runs when it ends, failed or not, and what it found as incidents.

    The run adds its loads, and the warnings of its tests. A run of a selection leaves incidents as they are; one that
    does not load all tables leaves those of the other tables' loads.
    """

    def __init__(self, sources: Connections, *, is_whole: bool = True, loads_all: bool = True) -> None:
        self.folder, self.options = sources.folder, sources.options
        self.is_whole, self.loads_all = is_whole, loads_all
        self.run_id = str(flow_run.id or uuid4())
        self.release: str | None = None
        self.loads: list[LoadResult] = []
        self.results: Sequence[Any] = ()
        self.warnings: Collection[Finding] = ()

    def __enter__(self) -> "RecordedRun":
        self.started_at = utc_now()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        text = None
        if error is not None:
            text = scrub(str(error)) if isinstance(error, WarehouseError) else type(error).__name__
        with recording(text):
            record_run(
                self.folder.lake,
                run_id=self.run_id,
                started_at=self.started_at,
                ended_at=utc_now(),
                release=self.release,
                error=text,
                is_whole=self.is_whole,
                held_back=error.roots if isinstance(error, HeldBack) else (),
            )
        if not self.is_whole:
            return
        self._send_lineage(error if isinstance(error, WarehouseError) else None)
        loaded = {str(load.table) for load in self.loads if load.is_complete}
        if error is None:
            settle_success(self.folder, self.warnings, self.options, None if self.loads_all else loaded)
        elif isinstance(error, HeldBack):
            settle_held(self.folder, error, self.warnings, self.options)
        elif isinstance(error, Exception):
            if isinstance(error, WarehouseError):
                failure: WarehouseError = error
            else:
                failure = Unforeseen("the run", describe_unforeseen(error))
            settle_failure(self.folder, failure, loaded, self.options)

    def saw(self, build: "Build", verdict: "Verdict") -> None:
        """Take what was built, and what its tests warn of."""
        self.results, self.warnings = build.results, verdict.findings

    def _send_lineage(self, error: WarehouseError | None) -> None:
        if lineage_place() is None or self.folder.has_own_lake:
            return
        from flows.site.lineage import traced_columns  # whose parser of SQL takes a while to import

        job = str(flow_run.flow_name or "elt")
        project, columns = ProjectMap.read(self.folder), traced_columns(self.folder)
        lineage = Lineage(self.folder, UUID(self.run_id), self.started_at, project, columns)
        results = self.results or getattr(error, "results", ())
        jobs = (*lineage.of_loads(self.loads, job), *lineage.of_build(results, job))
        send_lineage([*lineage.of_run(job, error), *jobs])


@atexit.register
def silence_exit() -> None:
    """Close the standard error at the very end, where DuckDB's bindings list what Prefect's threads still hold.

    The command line leaves before that; the process of a scheduled run is Prefect's own.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
