"""Which source tables a set of connections loads."""

from collections.abc import Mapping

from flows.config.connections import Connection, Connections
from flows.config.contract import Contract
from flows.core.errors import UsageError
from flows.core.names import TableName


def tables_to_load(sources: Connections, contracts: Mapping[TableName, Contract]) -> list[tuple[TableName, Connection]]:
    """Return the contract tables to load: those that a source's connection names, or all of the source's.

    Raises UsageError for a source or table without a contract.
    """
    wanted = []
    for connection in sources:
        declared = {
            name.table: name
            for name, contract in contracts.items()
            if name.source == connection.source and contract.derivation is None
        }
        named = list(connection.tables) or list(declared)
        for table in named:
            if table not in declared:
                known = ", ".join(str(name) for name, contract in contracts.items() if contract.derivation is None)
                raise UsageError(
                    f"{connection.file}: {sources.name}.{connection.source}.{table} has no contract; "
                    f"there are {known}.",
                    f"Declare it in models/staging/{connection.source}/_{connection.source}__sources.yml.",
                )
            wanted.append((declared[table], connection))
        if not named:
            raise UsageError(
                f"{connection.file}: {sources.name}.{connection.source} is no declared source.",
                f"Declare it in models/staging/{connection.source}/_{connection.source}__sources.yml.",
            )
    return wanted
