"""The summary that a command prints: the result, the files, the next command."""

from collections.abc import Iterable, Sequence
from io import StringIO
from typing import TYPE_CHECKING

from flows.config.settings import command, shown_path
from flows.outcome import FailedRun, Outcome, load_rows

if TYPE_CHECKING:
    from flows.ingest.load import LoadResult
    from flows.lake.quarantine_report import Reason

WIDEST = 10_000
"""Characters that a printed table may take; the terminal wraps what is wider."""


def summarise(outcome: Outcome) -> str:
    """Return a run's summary: one row per source table, what was built and tested, the release, next steps."""
    return "\n".join(
        [
            *list_loads(outcome.loads),
            "",
            f"  {outcome.headline}",
            *(f"    {warning}" for warning in (*outcome.new_warnings, outcome.standing) if warning),
            f"  {outcome.published}",
            "",
            f'  look:   {command()} query "{outcome.example}" {outcome.options}',
            f"  read:   open {shown_path(outcome.folder.docs)} in a browser",
            f"  train:  {command()} train {outcome.options}".rstrip(),
            "  watch:  make ui",
        ]
    )


def summarise_failure(failed: FailedRun) -> str:
    """Return what a failed run had loaded before it failed: one row per source table, and what there is to say."""
    return "\n".join(
        [*(list_loads(failed.loads) if failed.loads else ()), "", *(f"    {one}" for one in failed.warnings)]
    )


def summarise_replay(loads: "Sequence[LoadResult]", options: str) -> str:
    """Return a replay's summary: one row per table, where `quarantined` counts what stays, and the next step."""
    if not loads:
        return "Nothing is in quarantine."
    notes = [f"  {note}" for load in loads for note in load.notes]
    return "\n".join([*list_loads(loads), "", *notes, f"  next:   {command()} elt {options}"])


def list_reasons(reasons: "Sequence[Reason]") -> str:
    """Return why records are in quarantine: one line per reason, and one for each record of its sample."""
    lines = []
    for reason in reasons:
        lines.append(f"{reason.table}  {reason.records:,} × {reason.reason}")
        lines += [f"    {position}  {shape}" for position, shape in reason.sample]
    return "\n".join(lines) or "Nothing is in quarantine."


def draw_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False) -> list[str]:
    """Return the lines of a table; with `numbers`, all columns but the first are aligned to the right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, padding=(0, 3, 0, 0) if numbers else (0, 2, 0, 0), header_style=None)
    for at, column in enumerate(columns):
        table.add_column(column, justify="right" if numbers and at else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    drawn = StringIO()
    Console(file=drawn, width=WIDEST, markup=False, highlight=False, emoji=False).print(table)
    return [f"  {line.rstrip()}" for line in drawn.getvalue().splitlines()]


def list_loads(loads: "Sequence[LoadResult]") -> list[str]:
    """Return the lines of a table of what was loaded, one row per source table."""
    rows = [tuple(row.values()) for row in load_rows(loads)]
    return draw_table(("", "read", "accepted", "quarantined", "known", "duplicate", "seconds"), rows, numbers=True)
