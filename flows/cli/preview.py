"""`python -m flows preview`: what a mapping makes of records, or the working tree of the last release.

Nothing is written to lake and release.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.arguments import DEFAULT_CONNECTIONS, ConnectionSet, ConnectionsFile, say, say_step, sources_asked

if TYPE_CHECKING:
    from flows.ingest.preview import Preview, TablePreview

MOST_ROWS = 100


def preview(
    table: Annotated[
        str | None, typer.Argument(help="Source table, such as crm.customers; default: the working tree.")
    ] = None,
    rows: Annotated[int, typer.Option(help="Records that are shown of a table.", min=1, max=MOST_ROWS)] = 10,
    markdown: Annotated[
        Path | None,
        typer.Option("--markdown", help="Write the working tree's differences to this file, too.", metavar="PATH"),
    ] = None,
    connection_set: ConnectionSet = None,
    connections: ConnectionsFile = DEFAULT_CONNECTIONS,
) -> None:
    """Show a source's first records, before and after mapping and contract, without personal data.

    Without a table, show what the working tree changes: build and test it over the last release, and compare the two.
    """
    if table is None:
        from flows.cli.changes import preview_project

        raise typer.Exit(preview_project(connection_set, connections, markdown))
    if markdown is not None:
        from flows.core.errors import UsageError

        raise UsageError("--markdown is for the working tree, and a table is named.", "Leave one of them out.")
    preview_records(table, rows, connection_set, connections)


def preview_records(table: str, rows: int, connection_set: str | None, connections: Path) -> None:
    """Print the first records of a source table, before and after mapping and contract."""
    say_step(f"looking at {table} of {connections}")
    from flows.cli.preflight import read_contracts
    from flows.config.connections import read_connections
    from flows.core.errors import UsageError
    from flows.ingest.preview import preview_table
    from flows.ingest.tables import tables_to_load
    from flows.sources.served import served

    sources = read_connections(connections.resolve(), connection_set)
    contracts = read_contracts(sources)
    wanted = dict(tables_to_load(sources, contracts))
    found = next((name for name in wanted if str(name) == table), None)
    if found is None:
        from flows.config.validation import suggest_key

        known = [str(name) for name in wanted]
        raise UsageError(
            f"The set {sources.name} has no table {table}{suggest_key(table, known)}.", f"It has {', '.join(known)}."
        )
    with sources_asked(), served([wanted[found]]):
        wanted[found].require_environment()
        text = "\n".join(_describe(found, preview_table(wanted[found], contracts[found], rows)))
    say(text)


def _describe(name: object, preview: "TablePreview") -> Iterator[str]:
    for record in preview.records:
        yield from _describe_record(record)
    for position, reason in preview.malformed:
        yield from (f"  {position}  would be quarantined", f"    malformed: {reason}", "")
    yield from (f"  {note}" for note in preview.notes)
    if preview.missing:
        yield f"  null, since the source has no such column: {', '.join(preview.missing)}"
    if preview.extras:
        yield f"  kept in the lake under their own names: {', '.join(preview.extras)}"
    rejected = sum(bool(record.reasons) for record in preview.records) + len(preview.malformed)
    passed = sum(not record.reasons for record in preview.records)
    yield f"  {name}: {passed:,} of the first records of {preview.origin} pass, {rejected:,} would be quarantined"
    yield "  nothing was written; personal data are shown as their class, values of rejected records as their shape"


def _describe_record(record: "Preview") -> Iterator[str]:
    from flows.cli.report import draw_table

    yield f"  {record.position}  {'would be quarantined' if record.reasons else 'passes'}"
    rows = [
        (cell.column, ", ".join(f"{name} = {value}" for name, value in cell.read.items()) or "…", cell.result)
        for cell in record.cells
    ]
    yield from (f"  {line}" for line in draw_table(("contract", "source", "result"), rows))
    yield from (f"    {reason}" for reason in record.reasons)
    yield ""
