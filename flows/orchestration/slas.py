"""Promises of freshness: sources by dbt's `freshness`, exposures by `config.meta.sla`; both are read from files alone.

A run that never started is seen, too: its absence is what a promise is for.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from flows.config.settings import DataFolder, command
from flows.config.slas import read_slas
from flows.core.clock import utc_now
from flows.core.names import TableName
from flows.core.terminal import age_in_words, in_words
from flows.lake.delta import open_table, query
from flows.lake.incidents import Incident, open_incidents
from flows.lake.ops import newest_runs
from flows.lake.raw import raw_path
from flows.warehouse.project_map import ProjectMap

LATE = "late"
"""The kind of incident of a promise that was not kept."""

OF_JOBS = ("drift", "training", "scoring", "maintenance")
"""Kinds of incidents that say nothing of the tables that an exposure reads."""


@dataclass(frozen=True)
class LateSource:
    """A source whose newest rows are older than its contract promises; `stops` tells that no run can publish."""

    table: str
    newest: datetime
    promised: timedelta
    stops: bool

    def __str__(self) -> str:
        text = f"its newest rows arrived {age_in_words(self.newest)} ago, {in_words(self.promised)} are promised"
        return f"{text}, and no run can publish" if self.stops else text


@dataclass(frozen=True)
class ExposureState:
    """How an exposure is doing: blocked by an open error, late by a promise, or fresh; and why."""

    name: str
    owner: str
    state: Literal["fresh", "late", "blocked"]
    reason: str = ""
    breaks_own_promise: bool = False


def checked_sources(folder: DataFolder, project: ProjectMap) -> tuple[int, list[LateSource]]:
    """Compare the newest rows of the lake with the promises of the contracts; return how many were compared, and late.

    A source that was never loaded, or has no row or promise, is not compared.
    """
    late, checked = [], 0
    for source in sorted(project.sources.values(), key=lambda source: (source["source_name"], source["name"])):
        name, freshness = TableName(source["source_name"], source["name"]), source.get("freshness") or {}
        limits = [_duration(freshness.get(kind)) for kind in ("warn_after", "error_after")]
        promised = min((limit for limit in limits if limit is not None), default=None)
        if promised is None or not source.get("loaded_at_field"):
            continue
        newest = _newest(folder, name, source["loaded_at_field"], freshness.get("filter"))
        if newest is None:
            continue
        checked += 1
        if newest + promised < utc_now():
            stops = limits[1] is not None and newest + limits[1] < utc_now()
            late.append(LateSource(str(name), newest, promised, stops))
    return checked, late


def exposure_states(folder: DataFolder, project: ProjectMap, late: Collection[LateSource]) -> list[ExposureState]:
    """Return the state of each exposure; raises UsageError for a promise that cannot be read."""
    slas = read_slas(project.exposures.values())
    loads, runs = _newest_loads(folder), newest_runs(folder.lake)
    errors = [one.incident for one in open_incidents(folder.lake).values() if one.incident.severity == "error"]
    stopping = [one for one in errors if one.kind not in (*OF_JOBS, LATE)]
    states = []
    for name, key in sorted((one["name"], key) for key, one in project.exposures.items()):
        inputs, owner = project.inputs(key), project.owner(key)
        blocked = [one for one in stopping if not one.table or one.table in inputs]
        behind = [one for one in late if one.table in inputs]
        promised = slas[name].fresh_within if name in slas else None
        times = [loads[one] for one in inputs if one in loads]
        # a run that held back nothing of this use has brought it up to date, whatever else it held back
        run = max((ended for held, ended in runs.items() if held.isdisjoint(inputs)), default=None)
        fresh_at = min([*times, run]) if run is not None else None
        broken = promised is not None and (fresh_at is None or fresh_at + promised < utc_now())
        reason = ""
        if broken and promised is not None:
            since = "no run has ended well yet" if fresh_at is None else f"last up to date {age_in_words(fresh_at)} ago"
            reason = f"{since}, {in_words(promised)} are promised"
        if blocked:
            first = f"{blocked[0].table}, {blocked[0].kind}".removeprefix(", ")
            states.append(ExposureState(name, owner, "blocked", first, broken))
        elif broken or behind:
            reason = reason or f"{behind[0].table}: {behind[0]}"
            states.append(ExposureState(name, owner, "late", reason, broken))
        else:
            states.append(ExposureState(name, owner, "fresh"))
    return states


def late_incidents(folder: DataFolder, project: ProjectMap, options: str) -> Iterator[Incident]:
    """Yield an incident for each source and each exposure whose promise is not kept."""
    remedy = f"{command()} elt {options}".rstrip()
    _, late = checked_sources(folder, project)
    for source in late:
        severity: Literal["error", "warning"] = "error" if source.stops else "warning"
        yield Incident(source.table, LATE, severity, project.owner(source.table), str(source), remedy)
    for one in exposure_states(folder, project, late):
        if one.breaks_own_promise:
            yield Incident(one.name, LATE, "error", one.owner, one.reason, remedy)


def _newest(folder: DataFolder, name: TableName, loaded_at: str, where: str | None) -> datetime | None:
    sql = f"select cast(max({loaded_at}) as timestamp) from {{table}} where {where or 'true'}"
    rows = query(open_table(raw_path(folder.lake, name)), sql)
    return rows[0][0] if rows else None


def _newest_loads(folder: DataFolder) -> Mapping[str, datetime]:
    """Return when the newest load of each table that ended well began, by the table's name."""
    sql = "select table_name, max(started_at) from {table} where outcome = 'completed' group by all"
    return dict(query(open_table(folder.lake / "ops" / "loads"), sql))


def _duration(limit: Any) -> timedelta | None:
    """Read a limit of dbt's freshness, such as {count: 3, period: day}; None for none."""
    if not limit or limit.get("count") is None:
        return None
    return timedelta(**{f"{limit['period']}s": limit["count"]})
