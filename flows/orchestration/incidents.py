"""Findings become incidents: owners are notified once, and once more when an incident is over."""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager

from flows.config.settings import DataFolder, alert_urls, command
from flows.core.errors import (
    Finding,
    GateFailed,
    HeldBack,
    RunLocked,
    SchemaMismatch,
    SourceFailed,
    StorageFailed,
    Unforeseen,
    UsageError,
    WarehouseError,
)
from flows.core.redaction import scrub
from flows.core.unforeseen import exceptions_named
from flows.lake.incidents import Incident, Key, read_incidents, record
from flows.orchestration.alerts import send_alerts
from flows.orchestration.events import emit_incident
from flows.orchestration.run_lock import find_owner
from flows.orchestration.slas import LATE, OF_JOBS, late_incidents
from flows.warehouse.project_map import ProjectMap

logger = logging.getLogger(__name__)

WARNING, DIED, DRIFT = "warning of a test", "run died", "drift"
LOAD_KINDS = ("source failed", "schema changed", "contract gate")
"""Kinds that end as soon as the table is loaded, even if the run fails later."""

OTHER_KINDS: Mapping[type[WarehouseError], str] = {
    StorageFailed: "storage failed",
    UsageError: "wrong use",
    Unforeseen: "defect",
}
LONGEST = 600
"""Characters of a finding that an alert holds; the log of the run has all of it."""


def is_of_a_run(kind: str) -> bool:
    """Tell whether a run of elt that ended well shows that there is no incident of this kind."""
    return kind not in (LATE, DIED, *OF_JOBS)


def settle(
    folder: DataFolder,
    found: Callable[[ProjectMap], Iterable[Incident]],
    is_checked: Callable[[Incident, ProjectMap], bool],
) -> None:
    """Bring the incidents of a set up to date: open what is new, close what was checked and is not found any more.

    Owners are notified of both, and if a warning becomes an error. An alert that no place took is tried again next
    time. A run does not fail for it.
    """
    if folder.has_own_lake:  # a trial
        return
    try:
        project = ProjectMap.read(folder)
        _settle(folder, {one.key: one for one in found(project)}, lambda one: is_checked(one, project))
    except Exception as error:  # noqa: BLE001 - the run is worth more than its alerts
        logger.warning("incidents were not brought up to date: %s", type(error).__name__)


def _settle(folder: DataFolder, found: Mapping[Key, Incident], is_checked: Callable[[Incident], bool]) -> None:
    name, lake = folder.path.name, folder.lake
    before, ended = read_incidents(lake)
    since = {key: f"{one.since:%Y-%m-%d %H:%M}" for key, one in (ended | before).items()}
    worse = {key for key, one in before.items() if one.incident.severity == "warning"}
    new = [one for key, one in found.items() if key not in before or (key in worse and one.severity == "error")]
    over = [one for key, one in before.items() if key not in found and is_checked(one.incident)]
    unnotified = [one.incident for one in before.values() if not one.is_notified and one not in over]
    record(lake, new, "opened")
    for one in new:
        emit_incident(folder, one, is_over=False)
    begun = {one.key: one for one in [*(found.get(one.key, one) for one in unnotified), *new]}
    record(lake, send_alerts(name, begun.values(), "opened", since), "notified")
    waiting = [one.incident for key, one in ended.items() if key not in found]
    told = [*(one.incident for one in over if one.is_notified), *waiting]
    taken = send_alerts(name, told, "resolved", since)
    untaken = {one.key for one in told if one not in taken and alert_urls(one.owner)}
    closed = [one.incident for one in over]
    record(lake, [one for one in closed if one.key in untaken], "ended")
    record(lake, [one for one in (*closed, *waiting) if one.key not in untaken], "resolved")
    for one in closed:
        emit_incident(folder, one, is_over=True)


def settle_held(folder: DataFolder, error: HeldBack, warnings: Collection[Finding], options: str) -> None:
    """Open the incidents of a run that has published in part, and close those of earlier runs that it did not find."""
    settle(
        folder,
        lambda project: [*of_failure(error, project, options), *of_warnings(warnings, project, options)],
        lambda one, _: is_of_a_run(one.kind),
    )


def settle_failure(folder: DataFolder, error: WarehouseError, loaded: Collection[str], options: str) -> None:
    """Open the incidents of a run that failed; `loaded` are the tables that it had loaded before, which are well."""
    if not isinstance(error, RunLocked):
        settle(
            folder,
            lambda project: of_failure(error, project, options),
            lambda one, _: one.table in loaded and one.kind in LOAD_KINDS,
        )


def settle_success(
    folder: DataFolder, warnings: Collection[Finding], options: str, loaded: Collection[str] | None = None
) -> None:
    """Close the incidents of earlier runs after one that ended well; its tests' warnings are incidents.

    A run that has loaded some tables alone leaves the incidents of other loads as they are.
    """
    if folder.has_own_lake:
        return
    try:
        before, ended = read_incidents(folder.lake)
    except Exception as error:  # noqa: BLE001 - as in settle
        logger.warning("incidents cannot be read: %s", type(error).__name__)
        return
    was_late = any(one.incident.kind == LATE for one in before.values())
    if warnings or before or ended:
        settle(
            folder,
            lambda project: [
                *of_warnings(warnings, project, options),
                *(late_incidents(folder, project, options) if was_late else ()),
            ],
            lambda one, _: (
                one.kind == LATE
                or (is_of_a_run(one.kind) and (loaded is None or one.kind not in LOAD_KINDS or one.table in loaded))
            ),
        )


def settle_promises(folder: DataFolder, options: str) -> None:
    """Open and close the incidents of promises, and that of a run that died, without a run of elt."""
    owner, is_running = find_owner(folder)
    died = []
    if owner is not None and not is_running:
        remedy = f"{command()} elt {options}".rstrip()
        text = "a run died without an error; the next one takes over, and readers have the last release"
        died.append(Incident("", DIED, "error", "", text, remedy))
    settle(
        folder,
        lambda project: [*late_incidents(folder, project, options), *died],
        lambda one, _: one.kind in (LATE, DIED),
    )


@contextmanager
def job_watched(folder: DataFolder, kind: str, options: str, *, is_whole: bool) -> Iterator[None]:
    """Open the incident of a job if it fails, and close it if it ends well and was about all of the set.

    Every exception becomes an error of ours, so that none ends a job without its alert.
    """
    try:
        with exceptions_named(kind):
            yield
    except RunLocked:
        raise
    except WarehouseError as error:
        found = Incident("", kind, "error", "", _text(error), _next(error, options))
        settle(folder, lambda _: [found], lambda *_: False)
        raise
    if is_whole:
        settle(folder, lambda _: [], lambda one, _: one.kind == kind)


def settle_drift(folder: DataFolder, drifted: Mapping[str, tuple[str, bool]], scored: Collection[str]) -> None:
    """Open and close the incidents of drift of models that were scored; `drifted` says how, and whether it stopped one.

    The models, by the names of their exposures, are in both.
    """
    settle(
        folder,
        lambda project: [
            Incident(
                *(name, DRIFT, "error" if is_stopped else "warning", project.owner_of_use(name), _shortened(text)),
                remedy=f"{command()} train {name} --again",
            )
            for name, (text, is_stopped) in drifted.items()
        ],
        lambda one, project: one.kind == DRIFT and (one.table in scored or project.has_lost_use(one.table)),
    )


def of_failure(error: WarehouseError, project: ProjectMap, options: str) -> list[Incident]:
    """Return the incidents that an error tells: one for each table that a gate found faults in, else one."""
    if isinstance(error, HeldBack):
        return [one for cause in error.causes for one in of_failure(cause, project, options)]
    remedy = _next(error, options)
    if isinstance(error, GateFailed):
        kind = LATE if error.gate == "freshness" else f"{error.gate} gate"
        by_place = _by_table_and_owner(error.findings, project)
        if len(by_place) > 1:
            by_place.pop(("build", ""), None)  # what was not built because of the others
        return [
            Incident(table, kind, "error", owner, _shortened("; ".join(map(_counted, findings))), remedy)
            for (table, owner), findings in by_place.items()
        ]
    if isinstance(error, SourceFailed | SchemaMismatch):
        kind = LOAD_KINDS[0] if isinstance(error, SourceFailed) else LOAD_KINDS[1]
        cause = error.cause if isinstance(error, SourceFailed) else error.expected
        return [Incident(error.table, kind, "error", project.owner(error.table), _shortened(cause), remedy)]
    kind = next((name for of, name in OTHER_KINDS.items() if isinstance(error, of)), "failure")
    return [Incident("", kind, "error", "", _text(error), remedy)]


def of_warnings(warnings: Collection[Finding], project: ProjectMap, options: str) -> list[Incident]:
    """Return the incidents of tests that warned, by the table that they are about and the owner."""
    remedy = f"{command()} status --warnings {options}".rstrip()
    return [
        Incident(table, WARNING, "warning", owner, _shortened("; ".join(one.what for one in findings)), remedy)
        for (table, owner), findings in _by_table_and_owner(warnings, project).items()
    ]


def _by_table_and_owner(findings: Iterable[Finding], project: ProjectMap) -> dict[tuple[str, str], list[Finding]]:
    """Group findings: the owner of a test comes before that of its table, and a table may have tests of several."""
    found: dict[tuple[str, str], list[Finding]] = {}
    for one in findings:
        owner = project.owner_of_group(one.owner) if one.owner else project.owner(one.where)
        found.setdefault((one.where, owner), []).append(one)
    return found


def _counted(finding: Finding) -> str:
    return finding.what if finding.failures is None else f"{finding.what}, {finding.failures:,} failures"


def _next(error: WarehouseError | None, options: str) -> str:
    remedy = getattr(error, "remedy", "") or f"{command()} status {options}".rstrip()
    return scrub(" ".join(str(remedy).split()))


def _text(error: WarehouseError) -> str:
    return _shortened(str(error).partition("\n")[0])


def _shortened(text: str) -> str:
    line = " ".join(scrub(text).split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} …"
