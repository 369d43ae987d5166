"""The one command line.

Exit codes for schedulers:

- 0 done, 1 a defect of the project, 2 wrong use, 3 a gate failed;
- 4 a source failed, 5 another run holds the data folder, 6 the storage failed.
"""

import atexit
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal, NoReturn

import typer

from flows.cli.about import InstallCompletion, ShowCompletion, ShowVersion
from flows.cli.arguments import DEFAULT_CONNECTIONS, ConnectionSet, ConnectionsFile, say, set_folder
from flows.cli.backfill import backfill
from flows.cli.check import check, check_before_run
from flows.cli.compare import clone, diff
from flows.cli.completion import complete
from flows.cli.docs import docs
from flows.cli.features import app as features
from flows.cli.ingest import ingest
from flows.cli.init import init
from flows.cli.learning import score, train, training_set
from flows.cli.preview import preview
from flows.cli.releases import prune, rebuild, releases, rollback
from flows.core.errors import HeldBack, StorageFailed, Unforeseen, UsageError, WarehouseError
from flows.core.names import TableName, did_you_mean
from flows.core.terminal import TerminalHandler

app = typer.Typer(
    help="Extract, load, build, test and publish the warehouse.",
    epilog=(
        "Exit codes: 0 done, 1 a defect of the project, 2 wrong use, 3 a gate failed and nothing was published, "
        "4 a source failed, 5 another run holds the data folder, 6 the storage failed."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

FullRefresh = Annotated[
    bool, typer.Option("--full-refresh", help="Build everything from the lake, not on the last release.")
]
Select = Annotated[
    str | None,
    typer.Option("--select", help="Build and test these dbt nodes only; nothing is published then.", metavar="NODES"),
]


@app.command()
def elt(
    connection_set: ConnectionSet = None,
    connections: ConnectionsFile = DEFAULT_CONNECTIONS,
    full_refresh: FullRefresh = False,
    select: Select = None,
) -> None:
    """Load what is new, build, test, and publish if every gate passes."""
    check_before_run(connection_set, connections)  # tells mistakes before a server is started
    from flows.orchestration.server import prefect_server, prepare_prefect, wait_for_server

    place = connections.resolve()
    prepare_prefect()
    with prefect_server() as url:
        from flows.cli.report import summarise
        from flows.elt import elt as run

        wait_for_server(url)
        outcome = run(connection_set, str(place), full_refresh, select)
    _say(summarise(outcome))


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="DuckDB SQL; models are found by their names.")],
    connection_set: ConnectionSet = None,
    connections: ConnectionsFile = DEFAULT_CONNECTIONS,
    output_format: Annotated[
        Literal["table", "csv", "json"], typer.Option("--format", help="How rows are printed.")
    ] = "table",
    limit: Annotated[int, typer.Option(help="Rows that a table shows.", min=1)] = 100,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write all rows to this file: .csv, .json or .parquet.")
    ] = None,
    release: Annotated[
        str | None,
        typer.Option("--release", help="Release, clone, or s3://… of a copy; default: the published.", metavar="NAME"),
    ] = None,
) -> None:
    """Run SQL on the published warehouse."""
    from flows.cli.query import export_query, print_query, run_query

    folder = set_folder(connection_set, connections)
    if output is not None:
        typer.echo(export_query(folder, sql, output, release))
    elif output_format == "table":
        typer.echo(run_query(folder, sql, output_format, limit, release))
    else:
        print_query(folder, sql, output_format, sys.stdout.buffer, release)


@app.command()
def tables(connection_set: ConnectionSet = None, connections: ConnectionsFile = DEFAULT_CONNECTIONS) -> None:
    """List what is published: each table with its rows, its owner and the question that it answers."""
    from flows.cli.published import list_tables

    _say(list_tables(set_folder(connection_set, connections)))


@app.command()
def describe(
    table: Annotated[str, typer.Argument(help="Published table or function, such as churn_states.")],
    connection_set: ConnectionSet = None,
    connections: ConnectionsFile = DEFAULT_CONNECTIONS,
) -> None:
    """Describe a published table: its question, key, owner, age, columns and an example."""
    from flows.cli.published import describe_table

    _say(describe_table(set_folder(connection_set, connections), table))


@app.command()
def quarantine(
    table: Annotated[str | None, typer.Argument(help="Source table, such as crm.customers; default: all.")] = None,
    connection_set: ConnectionSet = None,
    connections: ConnectionsFile = DEFAULT_CONNECTIONS,
) -> None:
    """Show why records are in quarantine, how many, and the shape of some."""
    from flows.cli.report import list_reasons
    from flows.lake.quarantine_report import quarantined_tables, reasons_of

    lake = set_folder(connection_set, connections).lake
    tables = [_table(table, lake)] if table else quarantined_tables(lake)
    _say(list_reasons([reason for name in tables for reason in reasons_of(lake, name)]))


@app.command()
def replay(
    table: Annotated[str | None, typer.Argument(help="Source table, such as crm.customers; default: all.")] = None,
    connection_set: ConnectionSet = None,
    connections: ConnectionsFile = DEFAULT_CONNECTIONS,
) -> None:
    """Check quarantined records again, after a contract or mapping was fixed; those that pass move to the lake."""
    from flows.cli.report import summarise_replay
    from flows.config.connections import read_connections
    from flows.config.contract import contracts_of
    from flows.ingest.replay import replay_quarantine
    from flows.lake.reload import finish_reloads
    from flows.orchestration.run_lock import run_lock
    from flows.warehouse.dbt import Dbt

    sources = read_connections(connections.resolve(), connection_set)
    named = _table(table) if table else None
    with run_lock(sources.folder):
        finish_reloads(sources.folder.lake)
        contracts = contracts_of(Dbt.parse(sources.folder, sources.variables).manifest.sources.values())
        loads = replay_quarantine(sources, contracts, named)
    _say(summarise_replay(loads, sources.options))


@app.command()
def status(
    connection_set: ConnectionSet = None,
    connections: ConnectionsFile = DEFAULT_CONNECTIONS,
    warnings: Annotated[bool, typer.Option("--warnings", help="List all warnings of the release.")] = False,
) -> None:
    """Show the last release, the run that is going on, the last failed run, late sources and the quarantine."""
    from flows.cli.status import list_warnings, show_status

    _say((list_warnings if warnings else show_status)(set_folder(connection_set, connections)))


@app.command()
def verify(
    release: Annotated[
        str | None, typer.Option("--release", help="Verify what this release was built of; default: the lake as it is.")
    ] = None,
    connection_set: ConnectionSet = None,
    connections: ConnectionsFile = DEFAULT_CONNECTIONS,
) -> None:
    """Recount every load, and compare every batch with the hash that its commit holds."""
    from flows.cli.lake import list_verifications, verify_lake

    started = time.monotonic()
    found = verify_lake(set_folder(connection_set, connections), release)
    _say(list_verifications(found, time.monotonic() - started))
    if any(one.faults for one in found):
        raise typer.Exit(StorageFailed.exit_code)


@app.command()
def reload(
    table: Annotated[str, typer.Argument(help="Source table, such as crm.customers, or one of ops/, as it was told.")],
    connection_set: ConnectionSet = None,
    connections: ConnectionsFile = DEFAULT_CONNECTIONS,
    afresh: Annotated[
        bool, typer.Option("--afresh", help="Take the source alone, and keep no row that is stored.")
    ] = False,
) -> None:
    """Bring a damaged table of the lake back from its source; the damaged one is set aside."""
    from flows.cli.lake import summarise_reload
    from flows.config.connections import read_connections
    from flows.config.contract import contracts_of
    from flows.ingest.reload import reload_table, restore_operations
    from flows.lake.catalog import pin_catalog
    from flows.orchestration.run_lock import run_lock
    from flows.sources.served import served
    from flows.warehouse.dbt import Dbt
    from flows.warehouse.releases import released_batch

    sources = read_connections(connections.resolve(), connection_set)
    with served(sources), run_lock(sources.folder):
        if table.startswith("ops/"):
            done = restore_operations(sources.folder.lake, table)
        else:
            name = _table(table)
            released = released_batch(sources.folder, name)
            contracts = contracts_of(Dbt.parse(sources.folder, sources.variables).manifest.sources.values())
            done = reload_table(sources, contracts, name, released=released, afresh=afresh)
            pin_catalog(sources.folder.catalog, sources.folder.lake, contracts)
    _say(summarise_reload(done))


@app.command("vars")
def show_vars(connection_set: ConnectionSet = None, connections: ConnectionsFile = DEFAULT_CONNECTIONS) -> None:
    """Print a set's own vars as JSON, for dbt in a terminal: dbt build --vars "$(python -m flows vars)"."""
    import json

    from flows.config.connections import read_connections

    typer.echo(json.dumps(dict(read_connections(connections.resolve(), connection_set).variables)))


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.")] = 4200,
    connection_set: Annotated[
        str | None,
        typer.Option("--set", help="Set whose schedules are switched on; default: ML_WAREHOUSE_SET.", metavar="NAME"),
    ] = None,
) -> None:
    """Serve Prefect's UI and MLflow's on loopback, and run the schedules of prefect.yaml until interrupted."""
    from flows.config.sets import read_set
    from flows.config.settings import chosen_set
    from flows.orchestration.mlflow_ui import mlflow_ui
    from flows.orchestration.server import prepare_prefect, serve_schedules

    chosen = connection_set or chosen_set()
    if chosen is not None:
        read_set(DEFAULT_CONNECTIONS.resolve(), chosen)
    prepare_prefect()
    with mlflow_ui(say=typer.echo):
        serve_schedules(port, typer.echo, chosen)


@app.callback()
def show_progress(
    version: ShowVersion = False,
    show_completion: ShowCompletion = False,
    install_completion: InstallCompletion = False,
) -> None:
    """Extract, load, build, test and publish the warehouse."""
    logging.getLogger("flows").addHandler(TerminalHandler())


def _say(text: str) -> None:
    """Print what a command has to say; its next commands keep the options of this one."""
    from flows.cli.options import given_options, keep_options

    typer.echo(keep_options(text, given_options(sys.argv)))


def _table(text: str, lake: Path | None = None) -> TableName:
    """Read a table's name; raises UsageError for none, and for one that the lake, if given, does not have."""
    places = [] if lake is None else [*lake.glob("raw/*/*"), *lake.glob("quarantine/*/*")]
    known = sorted({str(TableName(place.parent.name, place.name)) for place in places})
    try:
        table = TableName.parse(text)
    except ValueError as error:
        raise UsageError(
            f"{error}.{did_you_mean(text, known)}", "For example: python -m flows quarantine crm.customers"
        ) from None
    if lake is not None and text not in known:
        raise UsageError(
            f"{text} was never loaded in this set.{did_you_mean(text, known)}",
            f"There are {', '.join(known) or 'no tables yet'}.",
        )
    return table


OBJECTS_BETWEEN_COLLECTIONS = 100_000
"""Python's 700 takes a tenth of a run: it would look through all that dbt has parsed again and again."""


def main() -> int:
    """Run a command; turn failures into a message and an exit code, with no secret in either."""
    from demo.command import demo

    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, 50, 100)
    app.add_typer(features, name="features")
    app.command("training-set")(training_set)
    commands: list[Callable[..., None]] = [demo, check, preview, init, ingest, backfill, train, score]
    commands += [releases, rollback, diff, clone, prune, rebuild, docs]
    for command in commands:
        app.command()(command)
    app.command(hidden=True)(complete)
    signal.signal(signal.SIGTERM, _stop)
    try:
        app()
    except SystemExit as end:  # how click ends a command that went well, or was used wrongly
        return end.code if isinstance(end.code, int) else 1
    except Exception as error:  # noqa: BLE001 - the last resort; a defect must not show a value or secret either
        from flows.core.storage import storage_failure
        from flows.core.unforeseen import describe_unforeseen

        failure = error if isinstance(error, WarehouseError) else storage_failure(error)
        failure = failure or Unforeseen("python -m flows", describe_unforeseen(error))
        if failure.summary is not None:
            from flows.cli.report import summarise, summarise_failure

            say(summarise(failure.summary) if isinstance(failure, HeldBack) else summarise_failure(failure.summary))
        say(str(failure), is_error=True)
        return failure.exit_code
    return 0


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    """End in an orderly way when asked to: the servers that this run started end with it."""
    sys.exit(128 + number)


def leave(code: int) -> NoReturn:
    """End without tearing the interpreter down, where DuckDB would report what Prefect's threads still hold."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main())
