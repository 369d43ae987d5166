"""One day of the pharmacy: move its sources on, and bring its warehouse up to date."""

import logging
from collections.abc import Sequence

from prefect import flow

from demo.into import feed
from demo.pharmacy import MADE_UP_KEY, DemoDay, advance
from flows.config.settings import DataFolder
from flows.elt import elt
from flows.orchestration.failures import failure_shown
from flows.orchestration.steps import flow_lock, step
from flows.outcome import Outcome

logger = logging.getLogger(__name__)

SET = "demo"


@flow(name="demo", flow_run_name="demo day", log_prints=False)
@failure_shown
def demo_day(
    scale: float = 1.0, seed: int = 1, full_refresh: bool = False, into: Sequence[str] = ()
) -> tuple[DemoDay, Outcome]:
    """Make the pharmacy's sources, or move them on by one day, and run `elt` on them.

    `into` are the environment variables that hold the URLs of components which the sources move into.
    """
    folder = DataFolder.of(SET)
    day, connections = move_on(folder, scale, seed, into)
    return day, elt(SET, connections, full_refresh=full_refresh)


@step("move sources on")
def move_on(folder: DataFolder, scale: float, seed: int, into: Sequence[str]) -> tuple[DemoDay, str]:
    """Make the sources, or move them on by one day, and return the connections file that names them.

    The run lock keeps other runs from reading them meanwhile.
    """
    with flow_lock(folder):
        day = advance(folder.path / "source", scale=scale, seed=seed)
        folder.made_up_key.write_text(MADE_UP_KEY)
        connections = str(feed(folder, SET, into)) if into else "connections.yml"
    logger.info("the pharmacy's sources hold all days up to %s", day.day.isoformat())
    return day, connections
