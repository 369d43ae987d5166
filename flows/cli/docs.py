"""The command that writes the docs site."""

from flows.cli.arguments import DEFAULT_CONNECTIONS, ConnectionSet, ConnectionsFile, published_folder, say
from flows.config.settings import shown_path


def docs(connection_set: ConnectionSet = None, connections: ConnectionsFile = DEFAULT_CONNECTIONS) -> None:
    """Write the docs site of the last release, and say where it is; each release writes its own, too."""
    published_folder(connection_set, connections)
    from flows.config.connections import read_connections
    from flows.orchestration.run_lock import run_lock
    from flows.site.write import write_site
    from flows.warehouse.dbt import Dbt

    sources = read_connections(connections.resolve(), connection_set)
    with run_lock(sources.folder):
        page = write_site(Dbt.parse(sources.folder, sources.variables), sources)
    say(f"  read:   open {shown_path(page)} in a browser")
