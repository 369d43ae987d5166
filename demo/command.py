"""`python -m flows demo`: the demo pharmacy, from its sources to a release."""

import logging
from typing import Annotated

import typer

ROWS_SHOWN = 10


def demo(
    scale: Annotated[
        float, typer.Option(help="1: 10,000 customers, 100,000 order lines, 1,000,000 events.", min=0.01)
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same pharmacy.")] = 1,
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Rebuild everything from the lake.")] = False,
    into: Annotated[
        list[str] | None,
        typer.Option(
            help="Component that takes the place of files: postgresql://…, mysql://…, kafka://… or s3://…; may be "
            "given several times.",
            metavar="URL",
        ),
    ] = None,
    truth: Annotated[
        bool, typer.Option("--truth", help="Print the truth that was planted in the pharmacy, and stop.")
    ] = False,
) -> None:
    """Make the demo pharmacy, or move it on by one day, and bring its warehouse up to date."""
    if truth:
        _print_truth()
        return
    from demo.into import variables_of
    from flows.config.settings import exported

    urls = variables_of(into or [])  # a flow's arguments are stored, so that they hold no URL
    logging.getLogger("flows").info("the pharmacy moves on by one day: starting Prefect")
    from flows.orchestration.server import prefect_server, prepare_prefect, wait_for_server

    prepare_prefect()
    with exported(**urls), prefect_server() as url:
        from demo.flow import demo_day
        from flows.cli.report import summarise

        wait_for_server(url)
        _, outcome = demo_day(scale, seed, full_refresh, list(urls))
    typer.echo(summarise(outcome))


def _print_truth() -> None:
    from demo.flow import SET
    from demo.pharmacy import read_truth
    from flows.cli.report import draw_table
    from flows.config.settings import DataFolder

    for subject, (columns, rows) in read_truth(DataFolder.of(SET).path / "source").items():
        shown = rows[:ROWS_SHOWN]
        texts = [["" if value is None else str(value) for value in row] for row in shown]
        typer.echo(f"\n{subject.replace('_', ' ')}: {len(rows):,} rows")
        typer.echo("\n".join(draw_table(columns, texts)))
        if len(rows) > len(shown):
            typer.echo("  …")
