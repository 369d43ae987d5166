"""The inspection of a set of connections, and the text about it."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from flows.config.connections import Connection, Connections, parse_connections
from flows.config.contract import Contract, contracts_of
from flows.config.declared import NeedsDbt, declared_contracts
from flows.config.declared_features import declared_features
from flows.config.settings import command
from flows.core.errors import SourceFailed, StorageFailed, UsageError
from flows.core.names import TableName
from flows.ingest.mistakes import Mistake, look_for_mistakes
from flows.ingest.plan import plan_load
from flows.ingest.tables import match_tables
from flows.sources.served import served


@dataclass(frozen=True)
class Report:
    """The mistakes of a set, and notes on what is no mistake; `looked_at` counts the tables that were looked at."""

    name: str
    options: str
    sources: int
    looked_at: int
    mistakes: Sequence[Mistake]
    notes: Sequence[str]

    @property
    def exit_code(self) -> int:
        """The exit code of the worst mistake; 0 without any."""
        return max((mistake.exit_code for mistake in self.mistakes), default=0)


def inspect_set(path: Path, connection_set: str | None, *, is_before_run: bool = False) -> Report:
    """Find all mistakes of a set: in its file, its variables, its drivers, its mappings, and at its sources.

    Before a run, tables whose last load had the same mapping and contract are not looked at, but for one of each host:
    if it does not answer, that is no mistake for certain, and the load tries again.
    Raises UsageError for a file or set that does not exist, and for contracts that cannot be used.
    """
    connections, errors = parse_connections(path, connection_set)
    contracts = read_contracts(connections)
    wanted, undeclared = match_tables(connections, contracts)
    errors += undeclared + _wrong_features()
    with ExitStack() as serving:
        unusable = {one.source: _serve(one, serving) or one.environment_mistakes() for one in connections}
        errors += [error for refused in unusable.values() for error in refused]
        askable = [(name, one) for name, one in wanted if not unusable[one.source]]
        known: set[TableName] = set()
        if is_before_run:
            lake = connections.folder.lake
            known = {name for name, one in askable if _was_loaded_so(one, contracts[name], lake)}
            askable = [(name, one) for name, one in askable if name not in known or _is_first_of_host(name, one)]
        found = look_for_mistakes(askable, contracts)
    mistakes = [*map(Mistake.of, errors)]
    for table in found:
        mistakes += [replace(one, is_certain=one.is_certain and table.table not in known) for one in table.mistakes]
    notes = [note for table in found for note in table.notes]
    distinct = {mistake.what: mistake for mistake in mistakes}
    counts = (len(connections.sources), len(askable))
    return Report(connections.name, connections.options, *counts, list(distinct.values()), notes)


def _serve(connection: Connection, serving: ExitStack) -> list[UsageError]:
    try:
        serving.enter_context(served([connection]))
    except UsageError as error:
        return [error]
    return []


def read_contracts(connections: Connections) -> Mapping[TableName, Contract]:
    """Return the contracts of the project; only if their YAML holds templates, dbt is asked to fill them in."""
    try:
        return declared_contracts()
    except NeedsDbt:
        from flows.warehouse.dbt import Dbt

        return contracts_of(Dbt.parse(connections.folder, connections.variables).manifest.sources.values())


def _wrong_features() -> list[UsageError]:
    """Return what is wrong with the declared features."""
    try:
        declared_features()
    except UsageError as error:
        return [error]
    return []


def _is_first_of_host(name: TableName, connection: Connection) -> bool:
    """Tell whether a table is the first of a source on the network, by which its host is asked whether it is there."""
    is_on_network = not connection.url().lower().startswith(("file:", "sqlite:", "python:"))
    return is_on_network and name.table == next(iter(connection.tables), name.table)


def _was_loaded_so(connection: Connection, contract: Contract, lake: Path) -> bool:
    """Tell whether the last batch of a table came by the mapping and contract of today."""
    if not lake.is_dir():
        return False
    try:
        plan = plan_load(connection, contract, lake)
        return plan.raw.last_commit().get("config_hash") == plan.config_hash
    except (UsageError, SourceFailed):  # the look says what is wrong
        return False
    except StorageFailed:  # the run says so, and how to bring the table back
        return True


def describe_mistakes(mistakes: Sequence[Mistake]) -> str:
    """Return each mistake with its remedy; mistakes of one remedy share it."""
    by_remedy: dict[str, list[str]] = {}
    for mistake in mistakes:
        by_remedy.setdefault(mistake.remedy, []).append(mistake.what)
    return "\n".join(
        "\n".join([*whats, *(f"    {line}" for line in remedy.splitlines())]) for remedy, whats in by_remedy.items()
    )


def describe_result(report: Report, seconds: float) -> str:
    """Return notes, then the number of mistakes and what was looked at."""
    count = len(report.mistakes)
    found = _counted(count, "mistake") if count else "no mistake"
    looked = f"{_counted(report.looked_at, 'table')} of {_counted(report.sources, 'source')} looked at, {seconds:.1f} s"
    next_step = [] if count else [f"  next:   {command()} elt {report.options}"]
    return "\n".join([*(f"  {note}" for note in report.notes), f"  set {report.name}: {found}; {looked}", *next_step])


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
