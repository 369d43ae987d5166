"""The flow that keeps watch: promises of freshness, and runs that died, reach their owners without a run of elt."""

import logging
from dataclasses import dataclass

from prefect import flow

from flows.config.connections import read_connections
from flows.config.parameters import ConnectionsFile, SetName
from flows.config.settings import PROJECT
from flows.core.storage import storage_faults_named
from flows.orchestration.failures import failure_shown
from flows.orchestration.incidents import settle_promises
from flows.orchestration.slas import ExposureState, checked_sources, exposure_states
from flows.warehouse.project_map import ProjectMap

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Watched:
    """The state of each exposure of a set."""

    states: tuple[ExposureState, ...]

    @property
    def headline(self) -> str:
        """One line on how many exposures are in which state."""
        counts = {state: sum(one.state == state for one in self.states) for state in ("fresh", "late", "blocked")}
        return ", ".join(f"{count} {state}" for state, count in counts.items())


@flow(name="watch", flow_run_name="watch {connection_set}", log_prints=False)
@failure_shown
def watch(connection_set: SetName = None, connections: ConnectionsFile = "connections.yml") -> Watched:
    """Compare sources and exposures with their promises, and tell owners what is late, and what is over.

    It reads files alone, needs no lock, and publishes nothing.
    """
    sources = read_connections(PROJECT / connections, connection_set)
    folder = sources.folder
    with storage_faults_named():
        settle_promises(folder, sources.options)
        project = ProjectMap.read(folder)
        _, late = checked_sources(folder, project)
        watched = Watched(tuple(exposure_states(folder, project, late)))
    logger.info("exposures of %s: %s", folder.path.name, watched.headline)
    for one in watched.states:
        if one.state != "fresh":
            logger.warning("%s is %s: %s", one.name, one.state, one.reason)
    return watched
