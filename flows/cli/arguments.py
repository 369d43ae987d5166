"""The arguments that commands share, and a line that says what a command does while it does it."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.options import given_options, keep_options
from flows.config.sets import DEFAULT_FILE, read_set, sets_with_data
from flows.config.settings import DataFolder, chosen_set, command
from flows.core.errors import UsageError
from flows.core.names import did_you_mean
from flows.core.redaction import scrub

ConnectionSet = Annotated[
    str | None,
    typer.Option("--set", help="Set of connections; default: ML_WAREHOUSE_SET, else the file's first.", metavar="NAME"),
]
ConnectionsFile = Annotated[
    Path, typer.Option("--connections", help="File that says where the data comes from.", metavar="PATH")
]
DEFAULT_CONNECTIONS = Path(DEFAULT_FILE)


def set_folder(connection_set: str | None, connections: Path) -> DataFolder:
    """Return a set's data folder; raises UsageError for a set that has no data and is not in the file."""
    named = connection_set or chosen_set()
    return DataFolder.of(named if named in sets_with_data() else read_set(connections.resolve(), named)[0])


def published_folder(connection_set: str | None, connections: Path) -> DataFolder:
    """Return a set's data folder as `set_folder` does; raises UsageError, too, if nothing is published."""
    folder = set_folder(connection_set, connections)
    if not folder.warehouse.exists():
        hint = did_you_mean(folder.path.name, sets_with_data())
        raise UsageError(f"Nothing is published in {folder.path.name} yet.{hint}", f"Publish first: {command()} elt")
    return folder


def say(text: str, *, is_error: bool = False) -> None:
    """Print what a command has to say, without secrets; its next commands keep the options of this one."""
    shown = keep_options(scrub(text), given_options(sys.argv))
    typer.secho(shown, err=is_error, fg=typer.colors.RED if is_error else None)


@contextmanager
def sources_asked() -> Iterator[None]:
    """Print what a source lacks as a mistake, and end the command: no load failed, and nothing is to be said of one."""
    from flows.core.errors import SchemaMismatch, SourceFailed

    try:
        yield
    except (SourceFailed, SchemaMismatch) as error:
        from flows.ingest.mistakes import Mistake

        mistake = Mistake.of(error)
        say(f"{mistake.what}\n{mistake.remedy}", is_error=True)
        raise typer.Exit(mistake.exit_code) from None


def say_step(text: str) -> None:
    """Say what happens next, with the time, on the channel of progress."""
    typer.echo(f"{time.strftime('%H:%M:%S')}  {scrub(text)}", err=True)
