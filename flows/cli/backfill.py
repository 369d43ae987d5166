"""`python -m flows backfill`: an interval of days is read again, and the difference to the release is shown."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.arguments import DEFAULT_CONNECTIONS, ConnectionSet, ConnectionsFile, published_folder, say
from flows.cli.check import check_before_run
from flows.config.settings import command

if TYPE_CHECKING:
    from flows.backfill import Backfilled


def backfill(
    first_day: Annotated[str, typer.Option("--from", help="First day, in the set's time zone.", metavar="DATE")],
    end_day: Annotated[str, typer.Option("--to", help="The day after the last one.", metavar="DATE")],
    select: Annotated[
        str | None,
        typer.Option("--select", help="Source tables; default: all that can be asked.", metavar="TABLES"),
    ] = None,
    is_published: Annotated[
        bool, typer.Option("--publish", help="Write to the lake, and publish if every gate passes.")
    ] = False,
    connection_set: ConnectionSet = None,
    connections: ConnectionsFile = DEFAULT_CONNECTIONS,
) -> None:
    """Read the records of some days again from the sources, build what follows, and show what differs.

    A record belongs to the day of its cursor. Without --publish, lake and release stay as they are.
    """
    require_usable(first_day, end_day, select, connection_set, connections, is_published=is_published)
    check_before_run(connection_set, connections)
    from flows.orchestration.server import prefect_server, prepare_prefect, wait_for_server

    place = connections.resolve()
    prepare_prefect()
    with prefect_server() as url:
        from flows.backfill import backfill as run

        wait_for_server(url)
        done = run(first_day, end_day, connection_set, str(place), select, is_published)
    say("\n".join(summarise_backfill(done, select)))


def require_usable(
    first_day: str,
    end_day: str,
    select: str | None,
    connection_set: str | None,
    connections: ConnectionsFile,
    *,
    is_published: bool,
) -> None:
    """Raise UsageError for whatever a backfill cannot be asked for, before anything is started."""
    from flows.cli.preflight import read_contracts
    from flows.config.connections import read_connections
    from flows.ingest.backfill import tables_to_backfill, zone_of
    from flows.lake.overlay import require_overlay
    from flows.sources.interval import Interval
    from flows.sources.served import served

    sources = read_connections(connections.resolve(), connection_set)
    Interval.parse(first_day, end_day, zone_of(sources))
    published_folder(connection_set, connections)
    with served(sources):
        tables_to_backfill(sources, read_contracts(sources), (select or "").split())
    if not is_published:
        require_overlay(sources.folder.lake)


def summarise_backfill(done: "Backfilled", select: str | None) -> Iterator[str]:
    """Yield what was read, what was built of it, and what differs from the release."""
    from flows.backfill import CLONE
    from flows.cli.compare import list_differences
    from flows.cli.report import list_loads

    outcome, options = done.outcome, done.outcome.options
    yield from list_loads(outcome.loads)
    yield ""
    yield from (f"    not read again: {text}" for text in done.left_out)
    yield f"  {outcome.headline}"
    new_warnings = [text for text in outcome.verdict.warnings if text not in outcome.verdict.standing]
    yield from (f"    {text}" for text in (*outcome.notes, *new_warnings))
    yield f"  {done.before} → backfill of {done.interval}"
    yield ""
    yield from list_differences(done.found)
    yield f"  {outcome.published}"
    yield ""
    if outcome.is_whole:
        yield f"  changes:  {command()} diff {options}"
        return
    if done.found.differences:
        table = done.found.without_steps.differences or done.found.differences
        yield f"  keys:     {command()} diff {CLONE} --table {table[0].name} {options}"
    yield f'  look:     {command()} query --release {CLONE} "{outcome.example}" {options}'
    again = f"--from {done.interval.first} --to {done.interval.end}" + (f' --select "{select}"' if select else "")
    yield f"  publish:  {command()} backfill {again} --publish {options}"
