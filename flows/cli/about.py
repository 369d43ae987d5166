"""Options of the command line itself: they print something and stop."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.completion import SCRIPT, install_script
from flows.cli.version import describe_versions


def _print_and_stop(text: Callable[[], str]) -> Callable[[bool], None]:
    def print_it(is_asked: bool) -> None:
        if is_asked:
            typer.echo(text())
            raise typer.Exit

    return print_it


ShowVersion = Annotated[
    bool, typer.Option("--version", help="Print versions.", is_eager=True, callback=_print_and_stop(describe_versions))
]
ShowCompletion = Annotated[
    bool,
    typer.Option(
        "--show-completion",
        help="Print a script for bash and zsh that completes these commands.",
        is_eager=True,
        callback=_print_and_stop(lambda: SCRIPT),
    ),
]
InstallCompletion = Annotated[
    bool,
    typer.Option(
        "--install-completion",
        help="Keep that script, and let each new terminal read it.",
        is_eager=True,
        callback=_print_and_stop(lambda: install_script(Path.home())),
    ),
]
