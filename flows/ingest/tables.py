"""Which source tables a set of connections loads."""

from collections.abc import Mapping

from flows.config.connections import Connection, Connections
from flows.config.contract import Contract
from flows.config.validation import suggest_key
from flows.core.errors import UsageError, join_usage_errors
from flows.core.names import TableName


def tables_to_load(sources: Connections, contracts: Mapping[TableName, Contract]) -> list[tuple[TableName, Connection]]:
    """Return the contract tables to load: those that a source's connection names, or all of the source's.

    Raises UsageError for each source and table without a contract.
    """
    wanted, mistakes = match_tables(sources, contracts)
    if mistakes:
        raise join_usage_errors(mistakes)
    return wanted


def match_tables(
    sources: Connections, contracts: Mapping[TableName, Contract]
) -> tuple[list[tuple[TableName, Connection]], list[UsageError]]:
    """Return the contract tables to load, and an error for each source and table without a contract."""
    wanted, mistakes = [], []
    loaded = [name for name, contract in contracts.items() if contract.derivation is None]
    for connection in sources:
        declared = {name.table: name for name in loaded if name.source == connection.source}
        named = list(connection.tables) or list(declared)
        for table in named:
            if table in declared:
                wanted.append((declared[table], connection))
                continue
            known = list(declared) or [str(name) for name in loaded]
            mistakes.append(
                UsageError(
                    f"{connection.file}: {sources.name}.{connection.source}.{table} has no contract"
                    f"{suggest_key(table, list(declared))}; there are {', '.join(known)}.",
                    f"Declare it in models/staging/{connection.source}/_{connection.source}__sources.yml.",
                )
            )
        if not named:
            known_sources = list(dict.fromkeys(name.source for name in loaded))
            mistakes.append(
                UsageError(
                    f"{connection.file}: {sources.name}.{connection.source} is no declared source"
                    f"{suggest_key(connection.source, known_sources)}; there are {', '.join(known_sources)}.",
                    f"Declare it in models/staging/{connection.source}/_{connection.source}__sources.yml.",
                )
            )
    return wanted, mistakes
