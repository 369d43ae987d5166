"""`python -m flows demo`: the pharmacy from its sources to a release."""

from typing import Annotated

import typer


def demo(
    scale: Annotated[float, typer.Option(help="1 is about 10,000 customers and 100,000 order lines.", min=0.01)] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same pharmacy.")] = 1,
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Build incremental models anew.")] = False,
) -> None:
    """Make the demo pharmacy or move it on by a day, and bring its warehouse up to date."""
    from flows.prefect_server import prefect_server, prepare_prefect, wait_for_server

    prepare_prefect()
    with prefect_server() as url:
        from flows.demo.flow import SET, demo_day
        from flows.report import summarise
        from flows.settings import DataFolder

        wait_for_server(url)
        _, outcome = demo_day(scale, seed, full_refresh)
    typer.echo(summarise(outcome, DataFolder.of(SET)))
