"""The flow that maintains a set: old releases are deleted, the lake is compacted and vacuumed."""

import logging

from prefect import flow

from flows.config.connections import read_connections
from flows.config.parameters import ConnectionsFile, Keep, SetName
from flows.config.settings import PROJECT, DataFolder
from flows.core.storage import storage_faults_named
from flows.learning.housekeeping import clean_up
from flows.orchestration.artifacts import failure_listed, show_rows
from flows.orchestration.failures import failure_shown
from flows.orchestration.incidents import job_watched
from flows.orchestration.steps import flow_lock, step
from flows.warehouse.releases import RELEASES_KEPT

logger = logging.getLogger(__name__)


@flow(name="maintain", flow_run_name="maintain {connection_set}", log_prints=False)
@failure_shown
def maintain(
    connection_set: SetName = None, connections: ConnectionsFile = "connections.yml", keep: Keep = RELEASES_KEPT
) -> int:
    """Delete what nothing needs, as `python -m flows prune` does; return the bytes that this has freed."""
    sources = read_connections(PROJECT / connections, connection_set)
    folder = sources.folder
    watched = job_watched(folder, "maintenance", sources.options, is_whole=True)
    with storage_faults_named(), flow_lock(folder), watched, failure_listed(folder):
        return clean(folder, keep)


@step("clean up")
def clean(folder: DataFolder, keep: int) -> int:
    """Clean up, and show what was deleted."""
    gone, cleaned = clean_up(folder, keep)
    freed = sum(gone.values()) + cleaned.freed
    rows = [{"what": f"release {name}", "MB": f"{size / 1e6:,.1f}"} for name, size in gone.items()]
    files = f"{cleaned.deleted:,} files of the lake, {cleaned.compacted:,} were merged"
    rows.append({"what": files, "MB": f"{cleaned.freed / 1e6:,.1f}"})
    text = f"{len(gone)} releases and {cleaned.deleted:,} files were deleted: {freed / 1e6:,.1f} MB."
    show_rows(f"maintenance-{folder.path.name}", rows, text)
    logger.info("%s", text)
    return freed
