"""Steps of a flow as Prefect tasks, and the record of a run in the lake."""

import atexit
import os
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar
from uuid import uuid4

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.config.settings import DataFolder
from flows.core.clock import utc_now
from flows.core.errors import WarehouseError
from flows.core.redaction import scrub
from flows.core.storage import recording
from flows.core.unforeseen import exceptions_named
from flows.lake.ops import record_run

P = ParamSpec("P")
R = TypeVar("R")

RUNNER: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=2)
"""Loads wait for each other's disk more than for a core: two at a time is what two cores gain from."""


def step(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a task that the UI shows by this name.

    Its arguments are bound before Prefect sees them: it would hash them and walk through all of dbt's manifest.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @task(name=name, task_run_name=name, cache_policy=NO_CACHE)
        def run(call: Callable[[], R]) -> R:
            with exceptions_named(name):
                return call()

        @wraps(function)
        def bound(*args: P.args, **options: P.kwargs) -> R:
            return run(partial(function, *args, **options))

        return bound

    return decorate


class RecordedRun:
    """Records a run in the lake's ops/runs when it ends, failed or not."""

    def __init__(self, folder: DataFolder) -> None:
        self.folder, self.run_id = folder, str(flow_run.id or uuid4())
        self.release: str | None = None

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
            )


@atexit.register
def silence_exit() -> None:
    """Close the standard error at the very end, where DuckDB's bindings list what Prefect's threads still hold.

    The command line leaves before that; the process of a scheduled run is Prefect's own.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
