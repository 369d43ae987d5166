"""The cost of Prefect in a build: the flow's build step, one task run per model, against plain dbt on the same
candidate.
"""

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

from flows.config import settings
from flows.orchestration.server import prefect_server, prepare_prefect, wait_for_server
from tests.benchmarks.measures import Measure, report

Times = tuple[float, float]

BAR = 1.3
REPETITIONS = 5


def measure(repetitions: int = REPETITIONS) -> dict[str, Any]:
    """Build the demo by turns in a flow and by plain dbt, in one warm process; return medians in seconds.

    `cpu_ratio` compares this process's own work, which holds on a busy machine too. `task_runs` counts the models that
    each flow showed; raises AssertionError if one does not end as Completed or Failed under its own flow run.
    """
    with tempfile.TemporaryDirectory() as place:
        prepared = settings.data_root() / "prefect" / "prefect.db"  # making a database takes ten seconds
        home = Path(place) / "prefect"
        home.mkdir()
        if prepared.exists():
            shutil.copy(prepared, home)
        settings.export(**{settings.DATA_VARIABLE: place})
        prepare_prefect()
        with prefect_server() as url:
            wait_for_server(url)
            return _measure(repetitions)


def _measure(repetitions: int) -> dict[str, Any]:
    from prefect import flow
    from prefect.runtime import flow_run

    from demo.flow import SET, demo_day
    from flows.orchestration.dbt_task_runs import shown_models
    from flows.orchestration.steps import step
    from flows.warehouse import build
    from flows.warehouse.build import WITHOUT_UNIT_TESTS, build_candidate, prepare_candidate
    from flows.warehouse.dbt import Dbt

    demo_day()
    build.code_tests = lambda _dbt: {}  # both sides build without the tests of code alone
    dbt = Dbt.parse(settings.DataFolder.of(SET))

    @step("build")
    def build_shown() -> None:
        with shown_models(dbt.manifest) as show:
            build_candidate(dbt, full_refresh=True, select=None, on_event=[show])

    @flow(name="build only", log_prints=False)
    def in_flow() -> tuple[str, Times]:
        return str(flow_run.id), timed(build_shown)

    times: dict[str, list[Times]] = {"plain": [], "in_flow": []}
    runs = []
    for repetition in range(repetitions + 1):  # the first of each warms up the process
        prepare_candidate(dbt.folder, empty=True)
        by_dbt = timed(lambda: dbt.run("build", "--full-refresh", *WITHOUT_UNIT_TESTS))
        prepare_candidate(dbt.folder, empty=True)
        run, by_flow = in_flow()
        runs.append(UUID(run))
        if repetition:
            times["plain"].append(by_dbt)
            times["in_flow"].append(by_flow)
    plain, flowing = ([statistics.median(column) for column in zip(*times[name], strict=True)] for name in times)
    return {
        "plain_seconds": round(plain[0], 2),
        "in_flow_seconds": round(flowing[0], 2),
        "ratio": round(flowing[0] / plain[0], 3),
        "cpu_ratio": round(flowing[1] / plain[1], 3),
        "bar": BAR,
        "repetitions": repetitions,
        "nodes": len(dbt.manifest.nodes),
        "task_runs": _require_truthful(runs),
    }


def timed(build: Callable[[], object]) -> Times:
    """Return the seconds of a build: elapsed time, and CPU time of this process."""
    clock, work = time.perf_counter(), time.process_time()
    build()
    return time.perf_counter() - clock, time.process_time() - work


def _require_truthful(flow_runs: list[UUID]) -> int:
    """Wait until all task runs of each flow run have ended; return their number per flow run."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    deadline = time.monotonic() + 30
    with get_client(sync_client=True) as client:
        while True:
            counts = set()
            states = set()
            for flow_run in flow_runs:
                shown = client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[flow_run])))
                counts.add(len(shown))
                states |= {run.state_name for run in shown}
                assert all(run.flow_run_id == flow_run for run in shown), "a task run stands under another flow"
            if len(counts) == 1 and states <= {"Completed", "Failed"}:
                return counts.pop()
            assert time.monotonic() < deadline, f"after 30 seconds there are {counts} task runs in states {states}"
            time.sleep(0.2)


def main() -> None:
    """Compare the flow's build step with plain dbt."""
    found = measure()
    what = f"Build step in the flow, {found['nodes']} nodes, {found['task_runs']} task runs"
    report(Measure(what, "dbtRunner", found["in_flow_seconds"], found["plain_seconds"], at_most=found["bar"]))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # otherwise DuckDB lists the objects of Prefect's threads
