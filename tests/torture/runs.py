"""Runs of the whole flow in a child process, with a clock that is fixed for each day of the shop."""

from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from sources import SET, SMALL, Sources
from support.breaks import BREAKS
from support.kills import Child, preload, replace_everywhere, set_constants

from flows.core import clock
from flows.warehouse import release

RELEASES_KEPT = 3
"""A small number, so that old releases are deleted within a round."""

preload(
    "flows.elt",
    "flows.sources.files.table",
    "flows.sources.sql.sqlite",
    "flows.warehouse.lake_plugin",
    "dbt.adapters.duckdb",
    "dbt.task.build",
    "dbt.task.docs",
    "dbt.task.freshness",
    "fastapi",
    "prefect.flow_engine",
    "prefect.task_engine",
    "pyarrow.compute",
    "pyarrow.parquet",
)


def run_of(sources: Sources, day_began: datetime, broken: str | None, home: Path) -> Child:
    """Return a run of the whole flow on a day; its output and temporary files are kept under `home`."""
    constants = SMALL | {"tempfile:tempdir": str(home)}
    preparations = [partial(set_constants, constants), partial(stop_clock, day_began), keep_few_releases]
    if broken is not None:
        preparations.append(BREAKS[broken])
    output = str(home / "output.txt")
    return Child("flows.elt:elt", (SET, str(sources.connections)), preparations=preparations, output=output)


def stop_clock(moment: datetime) -> None:
    """Give rows of a killed run and of the next run the same load time, which dates deletions."""
    replace_everywhere(clock, "utc_now", lambda: moment)


def keep_few_releases() -> None:
    """Keep only a few releases, so that old ones are deleted."""
    replace_everywhere(release, "prune_releases", partial(release.prune_releases, keep=RELEASES_KEPT))


def first_day() -> datetime:
    """Return the start of the shop's first day: recent enough for the freshness that its sources promise."""
    return clock.utc_now() - timedelta(hours=1)
