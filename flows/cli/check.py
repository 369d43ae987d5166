"""`python -m flows check`: all mistakes of a set of connections at once, before anything is read, built or started."""

import time

import typer

from flows.cli.arguments import (
    DEFAULT_CONNECTIONS,
    ConnectionSet,
    ConnectionsFile,
    say,
    say_step,
)


def check(connection_set: ConnectionSet = None, connections: ConnectionsFile = DEFAULT_CONNECTIONS) -> None:
    """Check connections, mappings and what the sources show, and list all mistakes at once; nothing is loaded."""
    started = time.monotonic()
    say_step(f"checking {connections}")
    from flows.cli.preflight import describe_mistakes, describe_result, inspect_set

    report = inspect_set(connections.resolve(), connection_set)
    if report.mistakes:
        say(describe_mistakes(report.mistakes), is_error=True)
    say(describe_result(report, time.monotonic() - started))
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def check_before_run(connection_set: str | None, connections: ConnectionsFile) -> None:
    """Check a set before a run starts; tables that were loaded as they are mapped now are not asked again.

    Ends the command if a mistake is certain. Others are printed, and the load shows whether they are mistakes.
    """
    started = time.monotonic()
    say_step(f"checking {connections}")
    from flows.cli.preflight import describe_mistakes, inspect_set
    from flows.config.settings import command

    report = inspect_set(connections.resolve(), connection_set, is_before_run=True)
    certain = [mistake for mistake in report.mistakes if mistake.is_certain]
    for mistake in (one for one in report.mistakes if not one.is_certain):
        say_step(f"{mistake.what} {mistake.remedy}")
    for note in report.notes:
        say_step(note)
    if certain:
        say(describe_mistakes(certain), is_error=True)
        say(f"Nothing was loaded or started. Check again: {command()} check {report.options}", is_error=True)
        raise typer.Exit(max(mistake.exit_code for mistake in certain))
    say_step(f"set {report.name} is checked, {time.monotonic() - started:.1f} s; starting the run")
