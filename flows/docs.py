"""The flow that writes the docs site of the release that readers see."""

from prefect import flow

from flows.config.connections import read_connections
from flows.config.parameters import ConnectionsFile, SetName
from flows.config.settings import PROJECT
from flows.core.storage import storage_faults_named
from flows.orchestration.artifacts import failure_listed
from flows.orchestration.failures import failure_shown
from flows.orchestration.steps import flow_lock, step
from flows.site.write import write_site
from flows.warehouse.dbt import Dbt
from flows.warehouse.releases import newest_release


@flow(name="docs", flow_run_name="docs {connection_set}", log_prints=False)
@failure_shown
def docs(connection_set: SetName = None, connections: ConnectionsFile = "connections.yml") -> str:
    """Write the docs site of a set's release, should `elt` not have done so; return the site's first page."""
    sources = read_connections(PROJECT / connections, connection_set)
    folder = sources.folder
    with storage_faults_named(), flow_lock(folder), failure_listed(folder):
        newest_release(folder)
        dbt = step("parse project")(Dbt.parse)(folder, sources.variables)
        step("write docs")(write_site)(dbt, sources)
    return str(folder.docs)
