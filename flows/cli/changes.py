"""The report of `python -m flows preview` on the working tree: for a terminal, and as Markdown for a review.

Both hold names and counts alone, and no value of a row.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flows.cli.arguments import published_folder, say
from flows.config.settings import command

if TYPE_CHECKING:
    from flows.changes import Changes

NOT_COMMENTED = "|`<>*_~[]@#"
"""Signs that Markdown reads as its own."""


def preview_project(connection_set: str | None, connections: Path, markdown: Path | None) -> int:
    """Build what the working tree changes over the last release, print the difference, and return the exit code.

    Write it as Markdown, too, if a file is named.
    """
    published_folder(connection_set, connections)
    import logging

    from flows.changes import preview_changes
    from flows.config.connections import read_connections
    from flows.orchestration.run_lock import run_lock

    logging.getLogger("flows").propagate = False  # dbt gives the root logger a handler of its own
    sources = read_connections(connections.resolve(), connection_set)
    with run_lock(sources.folder):
        changes = preview_changes(sources)
    if markdown is not None:
        markdown.write_text("\n".join(as_markdown(changes)) + "\n", encoding="utf-8")
    say("\n".join(as_text(changes)))
    return 0 if changes.failure is None else changes.failure.exit_code


def as_text(changes: "Changes") -> Iterator[str]:
    """Yield the lines for a terminal."""
    from flows.changes import CLONE
    from flows.cli.compare import list_differences

    yield f"  {changes.release} → working tree"
    yield ""
    if changes.built:
        yield f"  built: {', '.join(changes.built)}"
    else:
        yield "  nothing was built: the code of all models, seeds and snapshots is that of the release"
    yield f"  {_tests(changes)}"
    yield from (f"    {text}" for text in (*_failures(changes), *changes.warnings))
    yield ""
    yield from list_differences(changes.found)
    yield f"  nothing is published; lake and release are as they were, {changes.seconds:.0f} s"
    if changes.found.differences:
        tables = changes.found.without_steps.differences or changes.found.differences
        yield f"  keys:     {command()} diff {CLONE} --table {tables[0].name}"
    yield f'  look:     {command()} query --release {CLONE} "from customer_360 limit 5"'


def as_markdown(changes: "Changes") -> Iterator[str]:
    """Yield the lines of a comment on a change."""
    found = changes.found.without_steps
    yield "### What this change does to the warehouse"
    yield ""
    commit = f" (commit {changes.commit[:12]})" if changes.commit else ""
    yield f"Compared with release {changes.release}{commit}, over the same data."
    yield ""
    if found.differences:
        columns = [*found.differences[0].row]
        yield _row(columns)
        yield _row(["---", *["---:"] * (len(columns) - 2), "---"])
        yield from (_row([_escaped(text) for text in one.row.values()]) for one in found.differences)
        yield ""
    steps = len(changes.found.differences) - len(found.differences)
    yield f"{found.equal:,} tables are equal" + (f", {steps} intermediate tables differ." if steps else ".")
    yield ""
    yield f"**{_tests(changes)}**"
    yield ""
    yield from (f"- {_escaped(text)}" for text in (*_failures(changes), *changes.warnings))
    if changes.built:
        yield ""
        yield f"<details><summary>{len(changes.built)} models, seeds and snapshots built</summary>"
        yield ""
        yield ", ".join(f"`{name}`" for name in changes.built)
        yield ""
        yield "</details>"


def _tests(changes: "Changes") -> str:
    if changes.failure is None:
        return f"{changes.passed:,} tests passed, no gate would stop a release"
    return f"{changes.passed:,} tests passed; the {changes.failure.gate} gate would stop a release"


def _failures(changes: "Changes") -> Sequence[str]:
    """Return what a failed gate has found, without the rows."""
    if changes.failure is None:
        return ()
    return [
        f"{one.where}: {one.what}" + (f", {one.failures:,} failures" if one.failures is not None else "")
        for one in changes.failure.findings
    ]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    return "".join(f"\\{sign}" if sign in NOT_COMMENTED else sign for sign in " ".join(text.split()))
