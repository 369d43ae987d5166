"""One day of the pharmacy: move its sources on, and bring its warehouse up to date."""

import logging

from prefect import flow
from prefect.runtime import flow_run

from demo.pharmacy import MADE_UP_KEY, DemoDay, advance
from flows.config.settings import DataFolder
from flows.elt import elt
from flows.orchestration.run_lock import run_lock
from flows.orchestration.steps import step
from flows.outcome import Outcome

logger = logging.getLogger(__name__)

SET = "demo"


@flow(name="demo", flow_run_name="demo day", log_prints=False)
def demo_day(scale: float = 1.0, seed: int = 1, full_refresh: bool = False) -> tuple[DemoDay, Outcome]:
    """Make the pharmacy's sources, or move them on by one day, and run `elt` on them."""
    folder = DataFolder.of(SET)
    day = move_on(folder, scale, seed)
    return day, elt(SET, full_refresh=full_refresh)


@step("move sources on")
def move_on(folder: DataFolder, scale: float, seed: int) -> DemoDay:
    """Make the sources, or move them on by one day. The run lock keeps other runs from reading them meanwhile."""
    with run_lock(folder, flow_run.id):
        day = advance(folder.path / "source", scale=scale, seed=seed)
        folder.made_up_key.write_text(MADE_UP_KEY)
    logger.info("the pharmacy's sources hold all days up to %s", day.day.isoformat())
    return day
