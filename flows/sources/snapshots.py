"""One snapshot for all tables of a database, so that what was read of one fits what was read of the others."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager

from flows.config.connections import Connection
from flows.core.names import TableName
from flows.sources import connect
from flows.sources.batches import Connector


@contextmanager
def shared_snapshots(tables: Iterable[tuple[TableName, Connection]]) -> Iterator[Mapping[TableName, Connector]]:
    """Yield the connectors of databases of which several tables are read, while the context lasts.

    The tables of such a source read one snapshot, which is taken when the first of them is read. It is never taken
    again: if the server ends it, the tables that were not read yet raise SourceFailed. Raises UsageError as `connect`.
    """
    by_source: dict[str, list[tuple[TableName, Connection]]] = defaultdict(list)
    for name, connection in tables:
        by_source[connection.source].append((name, connection))
    found: dict[TableName, Connector] = {}
    with ExitStack() as opened:
        for several in by_source.values():
            connectors = {name: connect(one, one.mapping(name.table)) for name, one in several}
            share = getattr(next(iter(connectors.values())), "share_snapshot", None)
            snapshot = share() if share and len(connectors) > 1 else None
            if snapshot is not None:
                opened.enter_context(closing(snapshot))
                found |= {name: one.in_snapshot(snapshot) for name, one in connectors.items()}  # type: ignore[attr-defined]
        yield found
