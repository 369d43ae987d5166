"""How a set is doing: its release, late sources, quarantine, the run that is going on, and the last failed one."""

import json
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from flows.config.settings import DataFolder, command
from flows.core.errors import WarehouseError
from flows.core.redaction import without_values
from flows.core.storage import open_release_file
from flows.core.terminal import age_in_words
from flows.lake.delta import open_table, query
from flows.lake.incidents import open_incidents
from flows.lake.ops import last_rollback
from flows.lake.quarantine_report import count_quarantine
from flows.orchestration.run_lock import find_owner
from flows.orchestration.slas import LateSource, checked_sources, exposure_states
from flows.warehouse.project_map import ProjectMap
from flows.warehouse.releases import held_tables

Line = tuple[str, str]
"""The subject of a line, and its text; lines on one subject follow each other."""

LONGEST_CAUSE = 400
"""Characters of an error that are shown; `ops/runs` of the lake has the whole."""


def list_warnings(folder: DataFolder) -> str:
    """Return the tests that warned in the release, each with its sentence, then the records in quarantine."""
    sentences = {node["name"]: node.get("description") for node in _manifest(folder).get("nodes", {}).values()}
    lines = []
    for name in sorted(_warned(folder)):
        sentence, _, _ = " ".join((sentences.get(name) or "").split()).partition(". ")
        lines.append(f"  {name}: {sentence}".rstrip(": "))
    lines += [f"  in quarantine: {text}" for _, text in _quarantine(folder.lake)]
    return "\n".join(lines) or "There are no warnings."


def show_status(folder: DataFolder) -> str:
    """Return the state of a set, read from its files alone: no run is disturbed, and nothing is written.

    A part that cannot be read is named, with the reason, and the other parts are still shown.
    """
    project = cache(lambda: ProjectMap.read(folder))
    checked = cache(lambda: checked_sources(folder, project()))
    parts: list[tuple[str, Callable[[], Iterable[Line]]]] = [
        ("release", lambda: _release(folder)),
        ("running", lambda: _running(folder)),
        ("failed", lambda: _last_failure(folder.lake)),
        ("late", lambda: _late_sources(project(), checked)),
        ("uses", lambda: _exposures(folder, project(), checked)),
        ("incidents", lambda: _incidents(folder)),
        ("warnings", lambda: _warnings(folder)),
        ("quarantine", lambda: _quarantine(folder.lake) or [("quarantine", "empty")]),
    ]
    lines: list[Line] = []
    for about, part in parts:
        try:
            lines += part()
        except (WarehouseError, duckdb.Error, OSError, ValueError) as error:
            reason = str(error) if isinstance(error, WarehouseError) else without_values(error)
            lines.append((about, f"cannot be read: {_shortened(reason)}"))
    width = max(len(about) for about, _ in parts) + 3
    shown, last = [f"  set {folder.path.name}", ""], ""
    for about, text in lines:
        shown.append(f"  {'' if about == last else about:{width}}{text}")
        last = about
    return "\n".join(shown)


def _release(folder: DataFolder) -> Iterator[Line]:
    if not folder.warehouse.exists():
        yield "release", f"nothing is published yet: {command()} elt"
        return
    file = folder.warehouse.resolve()
    with open_release_file(file) as release:
        sql = "select release_name, built_at, git_commit from main.release"
        name, built_at, commit = release.execute(sql).fetchall()[0]
    code = ""
    if commit:
        identity, _, changes = commit.partition("-")
        code = f", of git commit {identity[:12]}{' with changes that are not committed' if changes else ''}"
    yield "release", f"{name}, {age_in_words(built_at)} old{code}"
    held = held_tables(file)
    if held:
        text = f"{len(held)} tables are held back, as release {' or '.join(sorted({*held.values()}))} had them: "
        yield "release", text + _shortened(", ".join(held))
    rollback = last_rollback(folder.lake)
    if rollback is not None and rollback[0] == name:
        yield "release", f"readers were sent here from {rollback[1]}, {age_in_words(rollback[2])} ago"


def _running(folder: DataFolder) -> Iterator[Line]:
    owner, is_running = find_owner(folder)
    if owner is None:
        yield "running", "no run is going on"
    elif is_running:
        yield "running", str(owner)
    else:
        yield "running", f"no run is going on; the last one died, and the next one takes over: {owner}"


def _last_failure(lake: Path) -> Iterator[Line]:
    """Say when and why the last failed run failed, and whether a later run was completed."""
    runs = open_table(lake / "ops" / "runs")
    sql = (
        "select ended_at, error, ended_at < (select max(ended_at) from {table} where outcome = 'completed') "
        "from {table} where outcome <> 'completed' order by ended_at desc limit 1"
    )
    for ended_at, error, is_over in query(runs, sql):
        since = ", a later run was completed" if is_over else ""
        yield "failed", f"{age_in_words(ended_at)} ago{since}: {_shortened(error or 'without a cause')}"
    if runs is not None and not query(runs, "select 1 from {table} where outcome <> 'completed' limit 1"):
        yield "failed", "no run"


def _late_sources(project: ProjectMap, checked: Callable[[], tuple[int, list[LateSource]]]) -> Iterator[Line]:
    """Compare the newest rows of the lake with the freshness that the contracts of the last run promise."""
    if not project.sources:
        yield "late", "unknown: no run has read the contracts yet"
        return
    count, late = checked()
    yield from (("late", f"{one.table}: {one}") for one in late)
    if not late:
        yield "late", f"none of {count} sources with a promise" if count else "no source has rows and a promise"


def _exposures(
    folder: DataFolder, project: ProjectMap, checked: Callable[[], tuple[int, list[LateSource]]]
) -> Iterator[Line]:
    """Say which uses are blocked or late, and why, and which are fresh."""
    if not project.exposures or not folder.warehouse.exists():
        return
    states = exposure_states(folder, project, checked()[1])
    for state in ("blocked", "late"):
        for one in (one for one in states if one.state == state):
            yield "uses", f"{one.name} is {state}: {_shortened(one.reason)}"
    if fresh := [one.name for one in states if one.state == "fresh"]:
        yield "uses", f"{len(fresh)} of {len(states)} are fresh: {', '.join(fresh)}"


def _incidents(folder: DataFolder) -> Iterator[Line]:
    """Say which incidents are open, since when, and whether their owners were notified."""
    for one in sorted(open_incidents(folder.lake).values(), key=lambda one: one.since):
        what = f"{one.incident.table or 'the set'}, {one.incident.kind}"
        told = f"{one.incident.owner or 'no owner'} {'was notified' if one.is_notified else 'was not notified'}"
        yield "incidents", f"{what}, open for {age_in_words(one.since)}, {told}"


def _warnings(folder: DataFolder) -> Iterator[Line]:
    if count := len(_warned(folder)):
        yield "warnings", f"of {count} test{'' if count == 1 else 's'} of the release ({command()} status --warnings)"


def _warned(folder: DataFolder) -> list[str]:
    """Return the names of the tests that warned in the release; empty without a release."""
    if not folder.warehouse.exists():
        return []
    with duckdb.connect(str(folder.warehouse.resolve()), read_only=True) as release:
        ((tests,),) = release.execute("select tests from main.release").fetchall()
    return [name for name, status in tests.items() if status == "warn"]


def _manifest(folder: DataFolder) -> dict[str, Any]:
    """Return what dbt wrote of the project when the last run read it; empty before the first run."""
    file = folder.target / "manifest.json"
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}


def _quarantine(lake: Path) -> list[Line]:
    counts = sorted(count_quarantine(lake).items())
    return [("quarantine", f"{table}: {count:,} ({command()} quarantine {table})") for table, count in counts]


def _shortened(text: str) -> str:
    """Return a text on one line, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_CAUSE else f"{line[:LONGEST_CAUSE]} …"
