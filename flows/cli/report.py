"""What a run tells in the terminal when it ends: what happened, what is where, what next."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flows.config.settings import PROJECT, DataFolder, is_activated
from flows.lake.quarantine_report import Reason

if TYPE_CHECKING:  # the flow brings Prefect along, which most commands do without
    from flows.elt import Outcome
    from flows.ingest.load import LoadResult


def summarise(outcome: "Outcome", folder: DataFolder) -> str:
    """Return a run's summary: a row a source table, what was built and tested, the release, three next steps."""
    return "\n".join([*_loads(outcome.loads), "", *_build(outcome, folder), "", *_next_steps(outcome, folder)])


def summarise_replay(loads: "Sequence[LoadResult]", folder: DataFolder) -> str:
    """Return a replay's summary: a row a table, of which quarantined are those that stay, and the next step."""
    if not loads:
        return "Nothing is in quarantine."
    notes = [f"  {note}" for load in loads for note in load.notes]
    return "\n".join([*_loads(loads), "", *notes, f"  next:   {command()} elt --set {folder.path.name}"])


def load_rows(loads: "Sequence[LoadResult]") -> list[dict[str, str]]:
    """Return what was loaded, a row a source table."""
    return [
        {
            "table": str(load.table),
            "read": f"{load.total.read:,}",
            "accepted": f"{load.total.accepted:,}",
            "quarantined": f"{load.total.quarantined:,}",
            "duplicate": f"{load.total.duplicate:,}",
            "seconds": f"{load.seconds:.1f}",
        }
        for load in loads
    ]


def headline(outcome: "Outcome", folder: DataFolder) -> str:
    """Return in one line what was built and tested."""
    models = outcome.build.count("model", "seed", "snapshot")
    earlier = f" and {outcome.verdict.earlier} unit tests earlier" if outcome.verdict.earlier else ""
    tests = f"{outcome.verdict.passed} tests passed{earlier}, {len(warnings_of(outcome, folder))} warnings"
    return f"{models} models, seeds and snapshots built, {tests}"


def warnings_of(outcome: "Outcome", folder: DataFolder) -> list[str]:
    """Return what someone should know of a run that went well."""
    quarantined = [
        f"{load.table}: {load.total.quarantined:,} newly in quarantine "
        f"({command()} quarantine {load.table} --set {folder.path.name})"
        for load in outcome.loads
        if load.total.quarantined
    ]
    return [*outcome.verdict.warnings, *quarantined, *outcome.notes]


def published(outcome: "Outcome") -> str:
    """Return which release readers see after a run, if it made one."""
    if outcome.release is None:
        return "the selection was built and tested in the candidate; nothing is published, a release holds every model"
    return f"release {outcome.release.name} is published, {outcome.seconds:.0f} s"


def _loads(loads: "Sequence[LoadResult]") -> Iterator[str]:
    head = ("", "read", "accepted", "quarantined", "duplicate", "seconds")
    rows = [tuple(row.values()) for row in load_rows(loads)]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        yield "  " + "   ".join(cells)


def _build(outcome: "Outcome", folder: DataFolder) -> Iterator[str]:
    yield f"  {headline(outcome, folder)}"
    for warning in warnings_of(outcome, folder):
        yield f"    {warning}"
    yield f"  {published(outcome)}"


def _next_steps(outcome: "Outcome", folder: DataFolder) -> Iterator[str]:
    yield f'  look:   {command()} query "{outcome.example}" --set {folder.path.name}'
    yield f"  read:   open {_relative(folder.docs)} in a browser"
    yield "  watch:  make ui"


def list_reasons(reasons: Sequence[Reason]) -> str:
    """Return why records are in quarantine, a line a reason and one for each record of its sample."""
    lines = []
    for reason in reasons:
        lines.append(f"{reason.table}  {reason.records:,} × {reason.reason}")
        lines += [f"    {position}  {shape}" for position, shape in reason.sample]
    return "\n".join(lines) or "Nothing is in quarantine."


def command() -> str:
    """Return how this command line is called from the project's folder, so that what is printed can be pasted."""
    if is_activated():
        return "python -m flows"
    return f"{_relative(Path(sys.executable))} -m flows"


def _relative(path: Path) -> str:
    return str(path.relative_to(PROJECT)) if path.is_relative_to(PROJECT) else str(path)
